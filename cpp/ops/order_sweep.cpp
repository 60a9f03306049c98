#include "ops/order_sweep.hpp"

#include <algorithm>
#include <bit>
#include <mutex>

#include "kernels/float_stats.hpp"
#include "kernels/labels.hpp"
#include "kernels/order.hpp"
#include "ops/float_key.hpp"
#include "ops/layer_reduce_accum.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr std::int64_t kMost = LabelledValues::kMost;
constexpr std::int64_t kBins = 1 << 16;  // of all brackets of a sweep together

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// The voxels of a piece, label by label: a view where the piece has one label, else a copy.
class Sorted {
 public:
  Sorted() : copy_(at(kMost)), ends_(at(kMostRuns)) {}

  // Calls body(label, values, how many) for every label of the piece.
  template <class Body>
  void each(const LabelledValues::Piece& piece, std::int64_t n, const Body& body) {
    const std::int64_t runs = find_runs(piece.labels, n);
    if (runs == 1) return body(piece.labels[0], piece.values, n);
    std::int32_t start[257] = {};
    if (runs > 0) {
      for (std::int64_t r = 0, begin = 0; r < runs; begin = ends_[at(r++)]) {
        start[piece.labels[begin] + 1] += static_cast<std::int32_t>(ends_[at(r)] - begin);
      }
    } else {
      for (std::int64_t i = 0; i < n; ++i) ++start[piece.labels[i] + 1];
    }
    for (std::size_t l = 0; l < 256; ++l) start[l + 1] += start[l];
    std::int32_t next[256];
    std::copy(start, start + 256, next);
    for (std::int64_t r = 0, begin = 0; r < runs; begin = ends_[at(r++)]) {
      std::int32_t& to = next[piece.labels[begin]];
      std::copy(piece.values + begin, piece.values + ends_[at(r)], &copy_[at(to)]);
      to += static_cast<std::int32_t>(ends_[at(r)] - begin);
    }
    float* const copy = copy_.data();
    for (std::int64_t i = 0; runs == 0 && i < n; ++i) copy[next[piece.labels[i]]++] = piece.values[i];
    for (std::size_t l = 0; l < 256; ++l) {
      if (next[l] > start[l]) body(static_cast<std::uint8_t>(l), copy + start[l], next[l] - start[l]);
    }
  }

 private:
  static constexpr std::int64_t kMostRuns = 256;

  // Fills ends_ and returns the number of runs; 0 where there are too many to go by runs.
  std::int64_t find_runs(const std::uint8_t* labels, std::int64_t n) {
    std::int64_t runs = 0;
    for (std::int64_t begin = 0; begin < n; begin = ends_[at(runs++)]) {
      if (runs == kMostRuns) return 0;
      ends_[at(runs)] = begin + labels_.same(labels + begin, n - begin);
    }
    return runs;
  }

  const kernels::Labels& labels_ = kernels::labels();
  std::vector<float> copy_;
  std::vector<std::int64_t> ends_;
};

// body(strip, worker, label, values, how many), piece by piece in order inside a strip.
template <class Body>
void sweep(const LabelledValues& source, const Strips& strips, int threads, const Body& body) {
  std::vector<Sorted> sorted(at(source.workers));
  parallel_for(strips.count, std::min(threads, source.workers), [&](std::int64_t strip, int worker) {
    const std::int64_t end = std::min(strips.voxels, (strip + 1) * strips.size);
    for (std::int64_t start = strip * strips.size; start < end; start += kMost) {
      const std::int64_t n = std::min(kMost, end - start);
      sorted[at(worker)].each(source.read(start, n, worker), n, [&](std::uint8_t label, const float* values, std::int64_t m) {
        body(strip, worker, label, values, m);
      });
    }
  });
}

}  // namespace

std::uint32_t plan_bins(std::vector<Bracket>& brackets, std::size_t first, std::size_t last) {
  const auto share = std::clamp<std::int64_t>(kBins / static_cast<std::int64_t>(last - first), 2, 1024);
  const auto per = std::bit_floor(static_cast<std::uint32_t>(share));
  for (std::size_t b = first; b < last; ++b) {
    const std::uint32_t span = brackets[b].high - brackets[b].low;
    brackets[b].shift = std::max(0, static_cast<int>(std::bit_width(span)) - static_cast<int>(std::bit_width(per - 1)));
  }
  return per;
}

std::vector<std::size_t> first_of_layers(const std::vector<Bracket>& brackets, std::size_t first, std::size_t last,
                                         std::size_t layers) {
  std::vector<std::size_t> out(layers + 1, last);
  for (std::size_t l = 0, b = first; l <= layers; ++l) {
    while (b < last && brackets[b].layer < l) ++b;
    out[l] = b;
  }
  return out;
}

void CpuSweeps::count(std::size_t layers, std::vector<Bracket>& brackets, std::size_t first, std::size_t last) {
  const std::size_t number = last - first;
  const std::uint32_t per = plan_bins(brackets, first, last);
  struct Counts {
    std::vector<std::int64_t> below;
    std::vector<std::uint32_t> bins;
    std::vector<float> picked;
  };
  std::vector<Counts> counts(at(source_.workers));
  for (Counts& own : counts) {
    own.below.assign(number, 0);
    own.bins.assign(number * per, 0);
    own.picked.resize(at(kMost + kernels::kPickSlack));
  }
  const std::vector<std::size_t> start = first_of_layers(brackets, first, last, layers);
  const auto place = kernels::float_stats().place;
  sweep(source_, Strips(source_.voxels), threads_, [&](std::int64_t, int worker, std::uint8_t label, const float* values, std::int64_t n) {
    if (label >= layers) return;
    Counts& own = counts[at(worker)];
    for (std::size_t b = start[label]; b < start[label + std::size_t{1}]; ++b) {
      const Bracket& bracket = brackets[b];
      const float low = float_of_key(bracket.low);
      const kernels::Place found = place(values, n, low, float_of_key(bracket.high), own.picked.data(), nullptr);
      own.below[b - first] += found.below;
      std::uint32_t* bins = &own.bins[(b - first) * per];
      for (std::int64_t i = 0; i < found.inside; ++i) ++bins[(float_key(own.picked[at(i)]) - bracket.low) >> bracket.shift];
    }
  });
  for (std::size_t b = first; b < last; ++b) {
    Bracket& bracket = brackets[b];
    bracket.bins.assign(per, 0);
    bracket.inside = 0;
    for (const Counts& own : counts) {
      if (!bracket.counted) bracket.below += own.below[b - first];
      for (std::size_t bin = 0; bin < per; ++bin) bracket.bins[bin] += own.bins[(b - first) * per + bin];
    }
    for (const std::int64_t count : bracket.bins) bracket.inside += count;
    bracket.counted = true;
  }
}

void CpuSweeps::collect(std::vector<Bracket>& brackets, AboveSums& above) {
  const std::size_t layers = above.bounds.size();
  const Strips strips(source_.voxels);
  struct Part {
    double sum = 0;
    std::int64_t count = 0;
  };
  std::vector<Part> parts(at(strips.count) * layers);
  std::vector<std::vector<float>> picked(at(source_.workers), std::vector<float>(at(kMost + kernels::kPickSlack)));
  std::mutex guard;
  for (Bracket& bracket : brackets) bracket.keys.reserve(at(bracket.inside));
  const std::vector<std::size_t> start = first_of_layers(brackets, 0, brackets.size(), layers);
  const auto place = kernels::float_stats().place;
  const auto sum_above = kernels::order().above;
  sweep(source_, strips, threads_, [&](std::int64_t strip, int worker, std::uint8_t label, const float* values, std::int64_t n) {
    if (label >= layers) return;
    if (above.wanted[label] != 0) {
      double lanes[kReduceLanes] = {};
      Part& part = parts[at(strip) * layers + label];
      part.count += sum_above(values, n, above.bounds[label], lanes);
      part.sum += fold_lanes(lanes);
    }
    for (std::size_t b = start[label]; b < start[label + std::size_t{1}]; ++b) {
      float* own = picked[at(worker)].data();
      const float low = float_of_key(brackets[b].low), high = float_of_key(brackets[b].high);
      const std::int64_t found = place(values, n, low, high, own, nullptr).inside;
      if (found == 0) continue;
      const std::scoped_lock lock(guard);  // seldom: few values are left to collect
      for (std::int64_t i = 0; i < found; ++i) brackets[b].keys.push_back(float_key(own[i]));
    }
  });
  above.sums.assign(layers, 0.0);
  above.counts.assign(layers, 0);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    above.sums[i % layers] += parts[i].sum;
    above.counts[i % layers] += parts[i].count;
  }
}

Sample CpuSweeps::sample(std::int64_t wanted) {
  const std::int64_t number = std::min(wanted, source_.voxels);
  const std::int64_t stride = source_.voxels / number, tasks = (number + 1023) / 1024;
  Sample sample{std::vector<float>(at(number)), std::vector<std::uint8_t>(at(number))};
  parallel_for(tasks, std::min(threads_, source_.workers), [&](std::int64_t task, int worker) {
    for (std::int64_t i = task * 1024; i < std::min(number, (task + 1) * 1024); ++i) {
      const auto piece = source_.read(sample_place(i, stride), 1, worker);
      sample.values[at(i)] = *piece.values;
      sample.labels[at(i)] = *piece.labels;
    }
  });
  return sample;
}

}  // namespace layer_fast::impl
