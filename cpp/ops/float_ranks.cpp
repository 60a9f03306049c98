#include "ops/float_ranks.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/order.hpp"
#include "ops/float_key.hpp"
#include "ops/order_search.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr std::int64_t kSample = 1 << 15;
constexpr std::int64_t kKept = 1 << 17;       // values that a worker can keep
constexpr std::size_t kMostIntervals = 12;    // each costs a pass over values in the nearest cache
constexpr std::ptrdiff_t kTies = 12;          // so often in a slice of the sample: a value of its own, only counted
constexpr std::int64_t kTask = 2048;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// Places of a rising sample between which a rank lies: three deviations to either side.
struct Slice {
  std::int64_t from, to;
};

std::vector<Slice> slices_of(std::vector<double> fractions, std::int64_t size) {
  std::sort(fractions.begin(), fractions.end());
  const auto m = static_cast<double>(size);
  std::vector<Slice> out;
  for (const double q : fractions) {
    const double width = 3.0 * std::sqrt(m * q * (1.0 - q)) + 2.0;
    const auto from = std::max<std::int64_t>(static_cast<std::int64_t>(std::floor(q * m - width)), -1);
    const auto to = std::min(static_cast<std::int64_t>(std::ceil(q * m + width)), size);
    if (!out.empty() && from <= out.back().to) {
      out.back().to = std::max(out.back().to, to);
    } else {
      out.push_back({from, to});
    }
  }
  return out;
}

}  // namespace

FloatRanks::FloatRanks(const ChosenFloats& source, const std::vector<double>& fractions, int workers)
    : source_(source), fractions_(fractions), workers_(at(workers)) {
  if (fractions.empty() || source.voxels < 4 * kSample) return;
  std::vector<float> sample = take_sample();
  if (sample.empty()) return;
  plan(sample);
  if (!promising()) return;
  for (Worker& own : workers_) {
    own.places.resize(intervals_.size());
    own.scratch = std::make_unique_for_overwrite<float[]>(at(kPiece));
    own.kept = std::make_unique_for_overwrite<float[]>(at(kKept));
  }
}

// The chosen and finite ones of kSample voxels, shaken: an even stride would meet the same columns of every row.
std::vector<float> FloatRanks::take_sample() const {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const auto stride = static_cast<std::uint64_t>(source_.voxels / kSample);
  std::vector<float> sample(at(kSample));
  parallel_for(kSample / kTask, static_cast<int>(workers_.size()), [&](std::int64_t task, int) {
    for (std::int64_t i = task * kTask; i < (task + 1) * kTask; ++i) {
      const std::uint64_t noise = (static_cast<std::uint64_t>(i) + 1) * 0x9e3779b97f4a7c15u >> 33;
      const std::uint64_t voxel = static_cast<std::uint64_t>(i) * stride + noise % stride;
      const float value = source_.values[voxel];
      const bool in = (!source_.nonzero || value != 0.0f) && (source_.mask == nullptr || source_.mask[voxel] != 0);
      sample[at(i)] = in && std::isfinite(value) ? value : kNan;
    }
  });
  sample.erase(std::remove_if(sample.begin(), sample.end(), [](float v) { return std::isnan(v); }), sample.end());
  return sample;
}

void FloatRanks::plan(std::vector<float>& sample) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  const auto size = static_cast<std::int64_t>(sample.size());
  std::int64_t expected = 0, done = 0;  // sorted up to `done`
  for (const Slice& slice : slices_of(fractions_, size)) {
    const std::int64_t from = std::max<std::int64_t>(slice.from, 0), to = std::min(slice.to, size - 1);
    std::nth_element(sample.begin() + done, sample.begin() + from, sample.end());
    std::nth_element(sample.begin() + from, sample.begin() + to, sample.end());
    std::sort(sample.begin() + from, sample.begin() + to);
    const float low = slice.from < 0 ? -kLargest : sample[at(from)], high = slice.to >= size ? kLargest : sample[at(to)];
    expected += plan_between(sample.data() + from, sample.data() + to + 1, low, high);
    done = to + 1;
  }
  const double each = static_cast<double>(source_.voxels) / static_cast<double>(kSample);
  const bool few = static_cast<double>(expected) * each < 0.75 * static_cast<double>(kKept);
  if (!few || intervals_.size() > kMostIntervals) intervals_.clear();
}

// The intervals from `low` to `high`, which the rising sample values [first, last) lie between: values that occur often
// stand alone. Returns how many sampled values are to be kept.
std::int64_t FloatRanks::plan_between(const float* first, const float* last, float low, float high) {
  std::uint32_t next = float_key(low);
  std::int64_t kept = 0;
  const auto add = [&](std::uint32_t from, std::uint32_t to, bool keep) {
    intervals_.push_back({.low = float_of_key(from), .high = float_of_key(to), .keep = keep});
  };
  while (first != last) {
    const float* const end = std::find_if(first, last, [&](float v) { return v != *first; });
    const std::uint32_t key = float_key(*first);
    if (end - first >= kTies) {
      if (next < key) add(next, key_below(key), true);
      add(key, key, false);
      next = key + 1;
    } else {
      kept += end - first;
    }
    first = end;
  }
  if (next <= float_key(high)) add(next, float_key(high), true);
  return kept;
}

kernels::Chosen FloatRanks::look(std::int64_t start, std::int64_t n, bool all_used, int worker) {
  const kernels::FloatStats& kernel = kernels::float_stats();
  Worker& own = workers_[at(worker)];
  kernels::Chosen chosen;
  for (std::int64_t from = start; from < start + n; from += kPiece) {
    const std::int64_t m = std::min(kPiece, start + n - from);
    const float* values = source_.values + from;
    kernels::Chosen here{m, 0};
    if (!all_used) {
      const std::uint8_t* mask = source_.mask != nullptr ? source_.mask + from : nullptr;
      here = kernel.choose(values, mask, source_.nonzero, m, own.scratch.get());
    }
    chosen.used += here.used;
    chosen.nonfinite += here.nonfinite;
    if (here.used == 0) continue;
    if (here.used < m) values = own.scratch.get();
    const float* next = source_.values + from + m;
    for (std::size_t i = 0; i < intervals_.size(); ++i, next = nullptr) {
      const Interval& interval = intervals_[i];
      own.full = own.full || own.kept_count + m + kernels::kPickSlack > kKept;
      float* const out = interval.keep && !own.full ? own.kept.get() + own.kept_count : nullptr;
      const kernels::Place place = kernel.place(values, m, interval.low, interval.high, out, next);
      own.places[i].below += place.below;
      own.places[i].inside += place.inside;
      if (out != nullptr) own.kept_count += place.inside;
    }
  }
  return chosen;
}

// The counts of all workers together, and the kept values interval by interval. False where a worker had no room.
bool FloatRanks::gather() {
  for (const Worker& own : workers_) {
    if (own.full) return false;
    kept_.insert(kept_.end(), own.kept.get(), own.kept.get() + own.kept_count);
    for (std::size_t i = 0; i < intervals_.size(); ++i) intervals_[i].below += own.places[i].below;
    for (std::size_t i = 0; i < intervals_.size(); ++i) intervals_[i].inside += own.places[i].inside;
  }
  float* next = kept_.data();
  for (Interval& interval : intervals_) {
    if (!interval.keep) continue;
    interval.first = next;
    const auto inside = [&](float v) { return v <= interval.high; };
    next = interval.last = std::partition(next, kept_.data() + kept_.size(), inside);
  }
  return true;
}

FloatRanks::Interval* FloatRanks::holding(std::int64_t rank) {
  for (Interval& interval : intervals_) {
    if (rank >= interval.below && rank < interval.below + interval.inside) return &interval;
  }
  return nullptr;
}

std::optional<std::vector<float>> FloatRanks::found(std::int64_t count) {
  if (!gather()) return std::nullopt;
  std::vector<float> out;
  for (const double q : fractions_) {
    const QuantileRanks ranks = quantile_ranks(q, count);
    const Interval* last = nullptr;
    for (const std::int64_t rank : {ranks.low, ranks.high}) {
      const Interval* const interval = holding(rank);
      if (interval == nullptr) return std::nullopt;
      if (interval->keep) {
        float* const place = interval->first + (rank - interval->below);
        // The second of two neighbours is the least of what the first one left above it.
        float* const from = interval == last ? interval->first + (ranks.low - interval->below) : interval->first;
        std::nth_element(from, place, interval->last);
        out.push_back(*place + 0.0f);
      } else {
        out.push_back(interval->low);
      }
      last = interval;
    }
  }
  return out;
}

}  // namespace layer_fast::impl
