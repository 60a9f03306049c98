// CPU: the float32 half of intensity_stats, and the choice between the halves.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/intensities.hpp"
#include "layer_fast/error.hpp"
#include "ops/intensity_stats_accum.hpp"
#include "ops/intensity_stats_impl.hpp"
#include "ops/order_search.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

using kernels::Chosen;
using kernels::intensities;
constexpr const char* kOp = "intensity_stats";

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

struct Tiles {
  const float* values;
  const std::uint8_t* mask;
  bool nonzero;
  std::int64_t voxels;
  std::int64_t count() const { return (voxels + kStatsTile - 1) / kStatsTile; }
  std::int64_t size(std::int64_t tile) const { return std::min(kStatsTile, voxels - tile * kStatsTile); }
  Chosen choose(std::int64_t tile, std::uint8_t* used) const {
    const std::int64_t start = tile * kStatsTile;
    return intensities().choose(values + start, mask != nullptr ? mask + start : nullptr, nonzero, size(tile), used);
  }
};

// A tile whose last lanes are short is copied, so that the kernel reads whole lanes only.
Moments moments_of(const Tiles& tiles, std::int64_t tile, std::vector<std::uint8_t>& used, std::vector<float>& padded,
                   std::int64_t count) {
  const std::int64_t n = tiles.size(tile);
  const float* here = tiles.values + tile * kStatsTile;
  if (n % kStatsLanes == 0) return intensities().moments(here, used.data(), n, count);
  const std::int64_t whole = n + kStatsLanes - n % kStatsLanes;
  std::copy(here, here + n, padded.begin());
  std::fill(padded.begin() + n, padded.begin() + whole, 0.0f);
  std::fill(used.begin() + n, used.begin() + whole, std::uint8_t{0});
  return intensities().moments(padded.data(), used.data(), whole, count);
}

// Label 1 where a voxel counts: ranks are searched as if that were a layer.
std::vector<double> float_percentiles(const Tiles& tiles, const Moments& whole, const std::vector<double>& percentiles,
                                      int threads) {
  std::vector<std::vector<std::uint8_t>> used(at(std::max(threads, 1)), std::vector<std::uint8_t>(at(LabelledValues::kMost)));
  const LabelledValues source{tiles.voxels, std::max(threads, 1), [&](std::int64_t start, std::int64_t n, int worker) {
    std::uint8_t* own = used[at(worker)].data();
    const std::uint8_t* mask = tiles.mask != nullptr ? tiles.mask + start : nullptr;
    intensities().choose(tiles.values + start, mask, tiles.nonzero, n, own);
    return LabelledValues::Piece{tiles.values + start, own};
  }};
  std::vector<LayerOrder> layers(2);
  std::vector<double> quantiles;
  layers[1].count = whole.count;
  layers[1].low = whole.min;
  layers[1].high = whole.max;
  for (const double p : percentiles) {
    quantiles.push_back(p / 100.0);
    const QuantileRanks ranks = quantile_ranks(quantiles.back(), whole.count);
    layers[1].ranks.push_back(ranks.low);
    layers[1].ranks.push_back(ranks.high);
  }
  find_order(source, layers, threads);
  return quantiles_from(layers[1].found.data(), whole.count, quantiles);
}

}  // namespace

IntensityStats float_stats_cpu(const ArrayView& volume, Within within, const std::uint8_t* mask,
                               const std::vector<double>& percentiles, int threads) {
  const Tiles tiles{volume.in<float>(kOp), mask, within == Within::nonzero, volume.size()};
  const int workers = worker_count(tiles.count(), threads);
  std::vector<std::vector<std::uint8_t>> used(at(workers), std::vector<std::uint8_t>(at(kStatsTile)));
  std::vector<std::vector<float>> padded(at(workers), std::vector<float>(at(kStatsTile)));
  std::vector<Chosen> chosen(at(tiles.count()));
  std::vector<Moments> parts(at(tiles.count()));
  parallel_for(tiles.count(), threads, [&](std::int64_t tile, int worker) {
    chosen[at(tile)] = tiles.choose(tile, used[at(worker)].data());
    parts[at(tile)] = moments_of(tiles, tile, used[at(worker)], padded[at(worker)], chosen[at(tile)].used);
  });
  Moments whole = empty_moments();
  IntensityStats out;
  for (std::size_t tile = 0; tile < parts.size(); ++tile) {
    merge_moments(whole, parts[tile]);
    out.nonfinite += chosen[tile].nonfinite;
  }
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const bool any = whole.count > 0;
  out.count = whole.count;
  out.sum = whole.sum;
  out.min = any ? whole.min + 0.0 : nan;
  out.max = any ? whole.max + 0.0 : nan;
  out.mean = any ? whole.mean : nan;
  out.std = any ? std::sqrt(whole.deviation_sq / static_cast<double>(whole.count)) : nan;
  out.percentiles.assign(percentiles.size(), nan);
  if (any && !percentiles.empty()) out.percentiles = float_percentiles(tiles, whole, percentiles, threads);
  return out;
}

IntensityStats intensity_stats_cpu(const ArrayView& volume, Within within, const ArrayView& mask,
                                   const std::vector<double>& percentiles, const ArrayView& histogram, int threads) {
  const std::uint8_t* chosen = within == Within::mask ? mask.in<std::uint8_t>(kOp) : nullptr;
  const int used = resolve_threads(threads);
  if (volume.dtype == Dtype::f32) return float_stats_cpu(volume, within, chosen, percentiles, used);
  return integer_stats_cpu(volume, within, chosen, percentiles, histogram.axes > 0 ? histogram.out<std::int64_t>(kOp) : nullptr,
                           used);
}

}  // namespace layer_fast::impl
