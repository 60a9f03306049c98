// CUDA: moments and percentiles of float32 volumes. Sixteen threads are the lanes of a tile and add their voxels one after
// the other, first values, then squares of deviations from the tile's mean: the CPU's order, so the CPU's bits. Moved: 8
// bytes a voxel, as a tile is read twice. Limit: memory, while float64 keeps up (see layer_reduce_cuda.cu).
#include "ops/device_sweeps_cuda.hpp"
#include "ops/intensity_cuda.hpp"

namespace layer_fast::impl {
namespace {

constexpr int kHalves = 2, kSteps = 16;
constexpr unsigned kLanes = 0xffffffffu;

// What a lane has seen of its tile.
struct LaneSums {
  double sum = 0.0, squares = 0.0;
  float low = __builtin_inff(), high = -__builtin_inff();
  int count = 0, nonfinite = 0;

  __device__ void add(float value) {
    if (value - value != 0.0f) {
      ++nonfinite;
      return;
    }
    sum += static_cast<double>(value);
    low = value < low ? value : low;
    high = value > high ? value : high;
    ++count;
  }
  __device__ void add_square(float value, double mean) {
    const double d = static_cast<double>(value) - mean;
    if (value - value == 0.0f) squares += d * d;
  }
};

// The fixed tree over lanes; every lane gets the result.
__device__ double folded(double lane) {
  for (int width = kStatsLanes / 2; width > 0; width /= 2) lane += __shfl_down_sync(kLanes, lane, width, kStatsLanes);
  return __shfl_sync(kLanes, lane, 0, kStatsLanes);
}

// Lane by lane, as the CPU does: of -0 and +0 the first stays.
__device__ void take_range(const LaneSums& own, Moments& out) {
  for (int j = 0; j < kStatsLanes; ++j) {
    const float low = __shfl_sync(kLanes, own.low, j, kStatsLanes), high = __shfl_sync(kLanes, own.high, j, kStatsLanes);
    if (low < out.min) out.min = low;
    if (high > out.max) out.max = high;
  }
}

// Calls body(value) for the chosen voxels of a lane, in order; the loads of kSteps groups are independent.
template <class Body>
__device__ void walk(const ChosenVoxels& chosen, std::int64_t first, int voxels, int lane, const Body& body) {
  for (int start = lane; start < voxels; start += kSteps * kStatsLanes) {
    float values[kSteps];
    bool in[kSteps];
#pragma unroll
    for (int g = 0; g < kSteps; ++g) {
      const int at = start + g * kStatsLanes;
      in[g] = at < voxels && (chosen.mask == nullptr || chosen.mask[first + at] != 0);
      values[g] = at < voxels ? chosen.values[first + at] : 0.0f;
      in[g] = in[g] && (!chosen.nonzero || values[g] != 0.0f);
    }
#pragma unroll
    for (int g = 0; g < kSteps; ++g) {
      if (in[g]) body(values[g]);
    }
  }
}

__global__ void sum_tiles(ChosenVoxels chosen, std::int64_t tiles, TilePart* parts) {
  const int half = static_cast<int>(threadIdx.x) / kStatsLanes, lane = static_cast<int>(threadIdx.x) % kStatsLanes;
  const std::int64_t tile = std::int64_t{blockIdx.x} * kHalves + half, first = tile * kStatsTile;
  const std::int64_t left = chosen.count - first;
  const int voxels = static_cast<int>(left < 0 ? 0 : left < kStatsTile ? left : kStatsTile);
  LaneSums own;
  walk(chosen, first, voxels, lane, [&](float value) { own.add(value); });
  TilePart part{empty_moments(), 0};
  int count = own.count, nonfinite = own.nonfinite;
  for (int width = kStatsLanes / 2; width > 0; width /= 2) {
    count += __shfl_xor_sync(kLanes, count, width, kStatsLanes);
    nonfinite += __shfl_xor_sync(kLanes, nonfinite, width, kStatsLanes);
  }
  part.moments.count = count;
  part.nonfinite = nonfinite;
  const double sum = folded(own.sum), mean = count > 0 ? sum / static_cast<double>(count) : 0.0;
  if (count > 0) walk(chosen, first, voxels, lane, [&](float value) { own.add_square(value, mean); });
  const double squares = folded(own.squares);
  take_range(own, part.moments);
  if (count > 0) {
    part.moments.sum = sum;
    part.moments.mean = mean;
    part.moments.deviation_sq = squares;
  }
  if (lane == 0 && tile < tiles) parts[tile] = part;
}

}  // namespace

std::vector<TilePart> tile_moments(cuda::Queue& queue, const ChosenVoxels& chosen) {
  const std::int64_t tiles = (chosen.count + kStatsTile - 1) / kStatsTile;
  if (tiles == 0) return {};
  const auto parts = queue.scratch<TilePart>(tiles);
  queue.run(sum_tiles, dim3(cuda::blocks_for(tiles, kHalves)), dim3(kHalves * kStatsLanes), 0, chosen, tiles,
            parts.data());
  return queue.read(parts.data(), tiles);
}

std::vector<double> float_percentiles(cuda::Queue& queue, const ChosenVoxels& chosen, const Moments& whole,
                                      const std::vector<double>& percentiles) {
  std::vector<double> fractions;
  std::vector<LayerOrder> layers(2);  // the chosen voxels are layer 1
  layers[1].count = whole.count;
  layers[1].low = whole.min;
  layers[1].high = whole.max;
  for (const double p : percentiles) {
    fractions.push_back(p / 100.0);
    const QuantileRanks ranks = quantile_ranks(p / 100.0, whole.count);
    layers[1].ranks.insert(layers[1].ranks.end(), {ranks.low, ranks.high});
  }
  DeviceSweeps<ChosenVoxels> sweeps(queue, chosen);
  find_order(sweeps, layers);
  return quantiles_from(layers[1].found.data(), whole.count, fractions);
}

}  // namespace layer_fast::impl
