// Moments of a part of a volume and how two parts merge. Both twins include this.
//
// float32 volumes are cut into tiles of kStatsTile voxels; inside a tile voxel i belongs to lane i % kStatsLanes. Every
// tile takes the deviations from its own mean, so nothing cancels; tiles merge in order (Chan, Golub and LeVeque 1979).
#pragma once

#include <cstdint>

#include "layer_fast/portable.hpp"

namespace layer_fast {

inline constexpr std::int64_t kStatsTile = 16384;
inline constexpr int kStatsLanes = 16;

struct Moments {
  std::int64_t count;
  double sum, mean, deviation_sq;  // deviation_sq: sum of (x - mean)^2
  float min, max;                  // min > max: empty
};

LF_HD inline Moments empty_moments() { return {0, 0.0, 0.0, 0.0, __builtin_inff(), -__builtin_inff()}; }

LF_HD inline void merge_moments(Moments& whole, const Moments& next) {
  if (next.count == 0) return;
  const double a = static_cast<double>(whole.count), b = static_cast<double>(next.count);
  const double step = next.mean - whole.mean;
  whole.deviation_sq += next.deviation_sq + step * step * (a * b / (a + b));
  whole.count += next.count;
  whole.sum += next.sum;
  whole.mean = whole.sum / static_cast<double>(whole.count);
  if (next.min < whole.min) whole.min = next.min;
  if (next.max > whole.max) whole.max = next.max;
}

}  // namespace layer_fast
