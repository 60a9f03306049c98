// CPU: the float32 half of intensity_stats, and the choice between the halves.
#include <algorithm>
#include <cmath>
#include <limits>

#include "layer_fast/error.hpp"
#include "ops/intensity_stats_accum.hpp"
#include "ops/intensity_stats_impl.hpp"
#include "ops/select_cpu.hpp"
#include "runtime/multi_isa.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "intensity_stats";

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

struct Chosen {
  std::int64_t used = 0, nonfinite = 0;
};

// used[i]: 1 where the voxel counts. mask may be null.
LF_MULTI_ISA Chosen choose_tile(const float* values, const std::uint8_t* mask, bool nonzero, std::int64_t n,
                                std::uint8_t* used) {
  std::int64_t chosen = 0, kept = 0;
  for (std::int64_t i = 0; i < n; ++i) used[i] = static_cast<std::uint8_t>(!nonzero || values[i] != 0.0f);
  for (std::int64_t i = 0; mask != nullptr && i < n; ++i) used[i] = static_cast<std::uint8_t>(used[i] & (mask[i] != 0));
  for (std::int64_t i = 0; i < n; ++i) chosen += used[i];
  for (std::int64_t i = 0; i < n; ++i) {
    used[i] = static_cast<std::uint8_t>(used[i] & (values[i] - values[i] == 0.0f));
    kept += used[i];
  }
  return {kept, chosen - kept};
}

double fold(const double* lanes) {
  double folded[kStatsLanes];
  std::copy(lanes, lanes + kStatsLanes, folded);
  for (int width = kStatsLanes / 2; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) folded[j] += folded[j + width];
  }
  return folded[0];
}

// The values that count; the others as `other`. So the loops below have no branch.
void keep_used(const float* values, const std::uint8_t* used, float other, float* out) {
  for (int j = 0; j < kStatsLanes; ++j) out[j] = used[j] != 0 ? values[j] : other;
}

struct Sums {
  double lanes[kStatsLanes] = {};
  float low[kStatsLanes], high[kStatsLanes];
};

LF_MULTI_ISA void sum_tile(const float* values, const std::uint8_t* used, std::int64_t n, Sums& out) {
  Sums sums = out;  // a local, which nothing else can alias
  float kept[kStatsLanes], low[kStatsLanes], high[kStatsLanes];
  for (std::int64_t i = 0; i < n; i += kStatsLanes) {
    keep_used(values + i, used + i, 0.0f, kept);
    keep_used(values + i, used + i, __builtin_inff(), low);
    keep_used(values + i, used + i, -__builtin_inff(), high);
    for (int j = 0; j < kStatsLanes; ++j) {
      sums.lanes[j] += static_cast<double>(kept[j]);
      sums.low[j] = low[j] < sums.low[j] ? low[j] : sums.low[j];
      sums.high[j] = high[j] > sums.high[j] ? high[j] : sums.high[j];
    }
  }
  out = sums;
}

// All n values count: the same additions without the choice.
LF_MULTI_ISA void sum_whole_tile(const float* values, std::int64_t n, Sums& out) {
  Sums sums = out;
  for (std::int64_t i = 0; i < n; i += kStatsLanes) {
    for (int j = 0; j < kStatsLanes; ++j) {
      const float value = values[i + j];
      sums.lanes[j] += static_cast<double>(value);
      sums.low[j] = value < sums.low[j] ? value : sums.low[j];
      sums.high[j] = value > sums.high[j] ? value : sums.high[j];
    }
  }
  out = sums;
}

LF_MULTI_ISA void square_tile(const float* values, const std::uint8_t* used, std::int64_t n, double mean, double* out) {
  double squares[kStatsLanes] = {};
  float kept[kStatsLanes];
  for (std::int64_t i = 0; i < n; i += kStatsLanes) {
    keep_used(values + i, used + i, 0.0f, kept);
    for (int j = 0; j < kStatsLanes; ++j) {
      const double d = (static_cast<double>(kept[j]) - mean) * static_cast<double>(used[i + j]);  // times 1 or 0
      squares[j] += d * d;
    }
  }
  std::copy(squares, squares + kStatsLanes, out);
}

LF_MULTI_ISA void square_whole_tile(const float* values, std::int64_t n, double mean, double* out) {
  double squares[kStatsLanes] = {};
  for (std::int64_t i = 0; i < n; i += kStatsLanes) {
    for (int j = 0; j < kStatsLanes; ++j) {
      const double d = static_cast<double>(values[i + j]) - mean;
      squares[j] += d * d;
    }
  }
  std::copy(squares, squares + kStatsLanes, out);
}

// n is a whole number of lanes: values beyond the end have used == 0.
Moments moments_tile(const float* values, const std::uint8_t* used, std::int64_t n, std::int64_t count) {
  Moments out = empty_moments();
  if (count == 0) return out;
  Sums sums;
  std::fill(sums.low, sums.low + kStatsLanes, out.min);
  std::fill(sums.high, sums.high + kStatsLanes, out.max);
  double squares[kStatsLanes];
  const bool all = count == n;
  all ? sum_whole_tile(values, n, sums) : sum_tile(values, used, n, sums);
  out.count = count;
  out.sum = fold(sums.lanes);
  out.mean = out.sum / static_cast<double>(count);
  all ? square_whole_tile(values, n, out.mean, squares) : square_tile(values, used, n, out.mean, squares);
  out.deviation_sq = fold(squares);
  out.min = *std::min_element(sums.low, sums.low + kStatsLanes);
  out.max = *std::max_element(sums.high, sums.high + kStatsLanes);
  return out;
}

struct Tiles {
  const float* values;
  const std::uint8_t* mask;
  bool nonzero;
  std::int64_t voxels;
  std::int64_t count() const { return (voxels + kStatsTile - 1) / kStatsTile; }
  std::int64_t size(std::int64_t tile) const { return std::min(kStatsTile, voxels - tile * kStatsTile); }
  Chosen choose(std::int64_t tile, std::uint8_t* used) const {
    const std::int64_t start = tile * kStatsTile;
    return choose_tile(values + start, mask != nullptr ? mask + start : nullptr, nonzero, size(tile), used);
  }
};

// A tile whose last lanes are short is copied, so that the kernel reads whole lanes only.
Moments moments_of(const Tiles& tiles, std::int64_t tile, std::vector<std::uint8_t>& used, std::vector<float>& padded,
                   std::int64_t count) {
  const std::int64_t n = tiles.size(tile);
  const float* here = tiles.values + tile * kStatsTile;
  if (n % kStatsLanes == 0) return moments_tile(here, used.data(), n, count);
  const std::int64_t whole = n + kStatsLanes - n % kStatsLanes;
  std::copy(here, here + n, padded.begin());
  std::fill(padded.begin() + n, padded.begin() + whole, 0.0f);
  std::fill(used.begin() + n, used.begin() + whole, std::uint8_t{0});
  return moments_tile(padded.data(), used.data(), whole, count);
}

// All used values side by side, in memory order.
const float* gather(const Tiles& tiles, const std::vector<Chosen>& chosen, float* workspace, int threads) {
  std::vector<std::int64_t> starts;
  std::int64_t position = 0;
  for (const Chosen& tile : chosen) {
    starts.push_back(position);
    position += tile.used;
  }
  if (position == tiles.voxels) return tiles.values;
  std::vector<std::vector<std::uint8_t>> used(at(worker_count(tiles.count(), threads)),
                                              std::vector<std::uint8_t>(at(kStatsTile)));
  parallel_for(tiles.count(), threads, [&](std::int64_t tile, int worker) {
    std::uint8_t* own = used[at(worker)].data();
    tiles.choose(tile, own);
    float* to = workspace + starts[at(tile)];
    for (std::int64_t i = 0; i < tiles.size(tile); ++i) {
      if (own[i] != 0) *to++ = tiles.values[tile * kStatsTile + i];
    }
  });
  return workspace;
}

}  // namespace

IntensityStats float_stats_cpu(const ArrayView& volume, Within within, const std::uint8_t* mask,
                               const std::vector<double>& percentiles, const ArrayView& workspace, int threads) {
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
  if (!any || percentiles.empty()) return out;
  std::vector<double> quantiles;
  for (const double p : percentiles) quantiles.push_back(p / 100.0);
  const float* values = gather(tiles, chosen, workspace.out<float>(kOp), threads);
  out.percentiles = exact_quantiles(values, whole.count, quantiles, threads);
  return out;
}

IntensityStats intensity_stats_cpu(const ArrayView& volume, Within within, const ArrayView& mask,
                                   const std::vector<double>& percentiles, const ArrayView& histogram,
                                   const ArrayView& workspace, int threads) {
  const std::uint8_t* chosen = within == Within::mask ? mask.in<std::uint8_t>(kOp) : nullptr;
  const int used = resolve_threads(threads);
  if (volume.dtype == Dtype::f32) return float_stats_cpu(volume, within, chosen, percentiles, workspace, used);
  return integer_stats_cpu(volume, within, chosen, percentiles, histogram.out<std::int64_t>(kOp), used);
}

}  // namespace layer_fast::impl
