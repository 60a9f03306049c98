// CPU: the float32 half of intensity_stats, and the choice between the halves.
#include <algorithm>
#include <limits>
#include <optional>

#include "kernels/float_stats.hpp"
#include "layer_fast/error.hpp"
#include "ops/float_ranks.hpp"
#include "ops/intensity_describe.hpp"
#include "ops/intensity_stats_impl.hpp"
#include "ops/order_search.hpp"
#include "ops/order_sweep.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

using kernels::float_stats;
using kernels::TileMoments;
constexpr const char* kOp = "intensity_stats";
constexpr std::int64_t kRun = 8;  // tiles, one after the other: each asks for the next one's memory

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

struct Tiles {
  ChosenFloats source;
  std::int64_t count() const { return (source.voxels + kStatsTile - 1) / kStatsTile; }
  std::int64_t size(std::int64_t tile) const { return std::min(kStatsTile, source.voxels - tile * kStatsTile); }
  TileMoments moments(std::int64_t tile) const {
    const std::int64_t start = tile * kStatsTile;
    const std::uint8_t* mask = source.mask != nullptr ? source.mask + start : nullptr;
    return float_stats().moments(source.values + start, mask, source.nonzero, size(tile));
  }
};

// One look at all tiles, in runs: every tile of a run asks for the next one's memory. Without `moments` the parts say
// how many values count and no more.
std::vector<TileMoments> look_at(const Tiles& tiles, bool moments, FloatRanks& ranks, int threads) {
  std::vector<TileMoments> parts(at(tiles.count()), {empty_moments(), 0});
  parallel_for((tiles.count() + kRun - 1) / kRun, threads, [&](std::int64_t run, int worker) {
    for (std::int64_t tile = run * kRun; tile < std::min((run + 1) * kRun, tiles.count()); ++tile) {
      TileMoments& part = parts[at(tile)];
      const std::int64_t n = tiles.size(tile);
      if (moments) part = tiles.moments(tile);
      if (!ranks.promising() || (moments && part.moments.count == 0)) continue;
      const kernels::Chosen chosen = ranks.look(tile * kStatsTile, n, part.moments.count == n, worker);
      part.moments.count = chosen.used;
      if (!moments) part.nonfinite = chosen.nonfinite;
    }
  });
  return parts;
}

// The values at all ranks, by the search that does not depend on a guess: label 1 where a voxel counts, as if that were
// a layer.
std::vector<float> search_ranks(const ChosenFloats& chosen, const Moments& whole, const std::vector<double>& fractions,
                                int threads) {
  struct Scratch {
    std::vector<std::uint8_t> used = std::vector<std::uint8_t>(at(LabelledValues::kMost));
    std::vector<float> kept = std::vector<float>(at(LabelledValues::kMost));
  };
  std::vector<Scratch> scratch(at(threads));
  const LabelledValues source{chosen.voxels, threads, [&](std::int64_t start, std::int64_t n, int worker) {
    Scratch& own = scratch[at(worker)];
    const float* values = chosen.values + start;
    const std::uint8_t* mask = chosen.mask != nullptr ? chosen.mask + start : nullptr;
    const bool all = float_stats().choose(values, mask, chosen.nonzero, n, own.kept.data()).used == n;
    std::fill(own.used.begin(), own.used.begin() + n, std::uint8_t{1});
    return LabelledValues::Piece{all ? values : own.kept.data(), own.used.data()};
  }};
  std::vector<LayerOrder> layers(2);
  layers[1].count = whole.count;
  layers[1].low = whole.min;
  layers[1].high = whole.max;
  for (const double q : fractions) {
    const QuantileRanks ranks = quantile_ranks(q, whole.count);
    layers[1].ranks.insert(layers[1].ranks.end(), {ranks.low, ranks.high});
  }
  CpuSweeps sweeps(source, threads);
  find_order(sweeps, layers);
  return layers[1].found;
}

}  // namespace

IntensityStats float_stats_cpu(const ArrayView& volume, Within within, const std::uint8_t* mask,
                               const std::vector<double>& percentiles, bool only_ranks, int threads) {
  const Tiles tiles{{volume.in<float>(kOp), mask, within == Within::nonzero, volume.size()}};
  std::vector<double> fractions;
  for (const double p : percentiles) fractions.push_back(p / 100.0);
  FloatRanks ranks(tiles.source, fractions, threads);
  const bool moments = !only_ranks || !ranks.promising();
  Moments whole = empty_moments();
  std::int64_t nonfinite = 0;
  for (const TileMoments& part : look_at(tiles, moments, ranks, threads)) {
    if (moments) merge_moments(whole, part.moments);
    else whole.count += part.moments.count;
    nonfinite += part.nonfinite;
  }
  IntensityStats out = describe_moments(whole, moments);
  out.nonfinite = nonfinite;
  out.percentiles.assign(percentiles.size(), std::numeric_limits<double>::quiet_NaN());
  if (whole.count == 0 || percentiles.empty()) return out;
  std::optional<std::vector<float>> values;
  if (ranks.promising()) values = ranks.found(whole.count);
  if (!moments) {  // the search wants bounds, however wide
    whole.max = std::numeric_limits<float>::max();
    whole.min = -whole.max;
  }
  if (!values) values = search_ranks(tiles.source, whole, fractions, threads);
  out.percentiles = quantiles_from(values->data(), whole.count, fractions);
  return out;
}

IntensityStats intensity_stats_cpu(const ArrayView& volume, Within within, const ArrayView& mask,
                                   const std::vector<double>& percentiles, const ArrayView& histogram, bool only_ranks,
                                   int threads) {
  const std::uint8_t* chosen = within == Within::mask ? mask.in<std::uint8_t>(kOp) : nullptr;
  const int used = resolve_threads(threads);
  if (volume.dtype == Dtype::f32) return float_stats_cpu(volume, within, chosen, percentiles, only_ranks, used);
  std::int64_t* const bins = histogram.axes > 0 ? histogram.out<std::int64_t>(kOp) : nullptr;
  return integer_stats_cpu(volume, within, chosen, percentiles, bins, only_ranks, used);
}

}  // namespace layer_fast::impl
