// What one voxel adds to the statistics of its layer, and how two parts of a layer merge. Both twins include this.
//
// A map is cut into tiles of kReduceTile voxels of the labels' grid, in memory order. Inside a tile voxel i adds to lane
// i % kReduceLanes of its layer. A layer has two accumulators a lane: one for voxels whose group (the kReduceLanes voxels
// that share i / kReduceLanes) is plain, one for the others. Plain: whole, without holes, of one label or of two of which
// one is its first voxel's and the other its last's. The two of a lane are added, lanes fold as a fixed tree, the tiles of
// a strip (kReduceStrip of them) merge in order, then the strips. So no thread count and no instruction set can change a
// bit. Values are float32, sums float64 (the square of a float32 is exact in float64).
#pragma once

#include <cstdint>

#include "layer_fast/portable.hpp"

namespace layer_fast {

inline constexpr std::int64_t kReduceTile = 16384;
inline constexpr int kReduceLanes = 16;
inline constexpr std::int64_t kReduceStrip = 64;  // tiles; one after the other they would keep a GPU waiting for the last

// One layer inside one tile, or many tiles merged. neg is the (negative) sum of the negative values, so that
// sum = pos + neg and sum_abs = pos - neg. min > max means empty.
struct LayerPartial {
  double pos, neg, sq, weight;
  std::int64_t count, nonfinite, max_tile;
  float min, max;
};

LF_HD inline LayerPartial empty_partial() {
  return {0.0, 0.0, 0.0, 0.0, 0, 0, -1, __builtin_inff(), -__builtin_inff()};
}

LF_HD inline bool is_finite(float value) { return value - value == 0.0f; }

LF_HD inline double positive_part(double value) { return value > 0.0 ? value : 0.0; }

LF_HD inline double negative_part(double value) { return value < 0.0 ? value : 0.0; }

// The fixed tree over lanes: overwrites `lanes`, returns their sum.
LF_HD inline double fold_lanes(double* lanes) {
  for (int width = kReduceLanes / 2; width > 0; width /= 2)
    for (int j = 0; j < width; ++j) lanes[j] += lanes[j + width];
  return lanes[0];
}

// `next` lies after `whole` in memory order, and its maximum in `tile`; that wins only if larger: the first one is kept.
LF_HD inline void merge_partial(LayerPartial& whole, const LayerPartial& next, std::int64_t tile) {
  whole.pos += next.pos;
  whole.neg += next.neg;
  whole.sq += next.sq;
  whole.weight += next.weight;
  whole.count += next.count;
  whole.nonfinite += next.nonfinite;
  if (next.min < whole.min) whole.min = next.min;
  if (next.max > whole.max) {
    whole.max = next.max;
    whole.max_tile = tile;
  }
}

// Bin of a value: 0 underflow, 1..bins, bins + 1 overflow; the last bin holds its upper edge.
// bins_per_unit = bins / (high - low).
LF_HD inline int histogram_bin(double value, double low, double high, double bins_per_unit, int bins) {
  if (value < low) return 0;
  if (value > high) return bins + 1;
  const int bin = static_cast<int>((value - low) * bins_per_unit);
  return 1 + (bin < bins ? bin : bins - 1);
}

}  // namespace layer_fast
