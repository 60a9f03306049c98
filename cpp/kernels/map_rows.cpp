#include "kernels/map_rows.hpp"

#include "kernels/lanes.hpp"
#include "ops/grid_taps.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

void over_zy(const float* a, const float* b, const float* c, const float* d, float ty, float tz, std::int64_t n,
             float* __restrict out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = blend(blend(a[i], b[i], ty), blend(c[i], d[i], ty), tz);
}

void one_by_one(const MapRowPlan& plan, const float* row, std::int64_t x, std::int64_t end, float* out) {
  for (; x < end; ++x) *out++ = blend(row[plan.low[x]], row[plan.high[x]], plan.t[x]);
}

void along_x(const MapRowPlan& given, const float* row, std::int64_t x, std::int64_t n, float* out) {
  const MapRowPlan plan = given;  // a local, which nothing that is written can alias
  const std::int64_t end = x + n;
  if (plan.base == nullptr) return one_by_one(plan, row, x, end, out);
  const std::int64_t first = (x + kLanes - 1) / kLanes, last = end / kLanes;  // whole groups
  if (first >= last) return one_by_one(plan, row, x, end, out);
  one_by_one(plan, row, x, first * kLanes, out);
  out -= x;
  for (std::int64_t group = first; group < last; ++group) {
    const std::int64_t at = group * kLanes;
    const float* window = row + plan.base[group];
    const Floats a = pick(window, plan.low_lane + at), b = pick(window, plan.high_lane + at);
    store(out + at, a + load(plan.t + at) * (b - a));
  }
  one_by_one(plan, row, last * kLanes, end, out + last * kLanes);
}

}  // namespace

const MapRows map_rows{kLanes, over_zy, along_x};

}  // namespace layer_fast::kernels::LF_ISA
