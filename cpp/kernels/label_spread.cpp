#include "kernels/label_spread.hpp"

#include "kernels/label_bytes.hpp"
#include "ops/layer_weights_accum.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

constexpr std::int64_t kAhead = 4096;  // labels that are fetched early

// Where the columns of a run begin and end; the taps are monotone, up or down.
struct Columns {
  std::int64_t first, last;
};

Columns columns_of(const SpreadPlan& plan, std::int64_t begin, std::int64_t end) {
  const std::int64_t a = plan.low[begin], b = plan.low[end - 1];
  const std::int64_t last = (a > b ? a : b) + 2;
  return {a < b ? a : b, last < plan.columns ? last : plan.columns};
}

void add_run(const SpreadPlan& plan, std::int64_t begin, std::int64_t end, double t, double* __restrict low,
             double* __restrict high) {
  const Columns columns = columns_of(plan, begin, end);
  for (std::int64_t m = columns.first; m < columns.last; ++m) {
    const double weight = run_weight(plan.prefix, plan.columns, begin, end, m);
    low[m] += (1.0 - t) * weight;
    high[m] += t * weight;
  }
}

// Where the map ends, `low` and `high` are the same row and t is 0.
void add_run_once(const SpreadPlan& plan, std::int64_t begin, std::int64_t end, double* low) {
  const Columns columns = columns_of(plan, begin, end);
  for (std::int64_t m = columns.first; m < columns.last; ++m) low[m] += run_weight(plan.prefix, plan.columns, begin, end, m);
}

bool row(const SpreadPlan& plan, const std::uint8_t* labels, double t, double* low, double* high) {
  for (std::int64_t b = 0; b < plan.voxels; b += 64) __builtin_prefetch(labels + kAhead + b);
  for (std::int64_t begin = 0; begin < plan.voxels;) {
    const std::uint8_t label = labels[begin];
    if (label >= plan.rows) return false;
    std::int64_t end = begin + run_length(labels + begin, plan.voxels - begin);
    while (end < plan.voxels && labels[end] == label) ++end;
    const std::int64_t layer = label * plan.layer_stride;
    if (t > 0.0) {
      add_run(plan, begin, end, t, low + layer, high + layer);
    } else {
      add_run_once(plan, begin, end, low + layer);
    }
    begin = end;
  }
  return true;
}

}  // namespace

const LabelSpread label_spread{row};

}  // namespace layer_fast::kernels::LF_ISA
