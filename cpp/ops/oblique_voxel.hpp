// One voxel under a grid map that mixes the axes. Same kernels, same order of sums as the separable path.
#pragma once

#include "layer_fast/resample.hpp"
#include "ops/resample_voxel.hpp"

namespace layer_fast::voxel {

struct Taps1 {
  int width;
  std::int64_t index[4];
  float weight[4];
};

LF_HD inline Taps1 taps_at(double coordinate, std::int64_t n, Interpolation interpolation) {
  const double x = clamped(coordinate, n);
  const auto base = static_cast<std::int64_t>(::floor(x));
  Taps1 taps{};
  if (interpolation == Interpolation::nearest) {
    taps.width = 1;
    taps.index[0] = nearest_index(x, n);
    taps.weight[0] = 1;
    return taps;
  }
  const int reach = interpolation == Interpolation::linear ? 1 : 2;
  taps.width = 2 * reach;
  for (int t = 0; t < taps.width; ++t) {
    const std::int64_t i = base - reach + 1 + t;
    const double distance = x - static_cast<double>(i);
    const bool mirrored = interpolation == Interpolation::bspline;
    taps.index[t] = mirrored ? mirror_index(i, n) : edge_index(i, n);
    taps.weight[t] = static_cast<float>(interpolation == Interpolation::linear  ? triangle(distance)
                                        : interpolation == Interpolation::cubic ? catmull_rom(distance)
                                                                                : bspline3(distance));
  }
  return taps;
}

// Taps of weight 0 are passed over, so that a NaN reaches only the outputs that give its voxel a weight.
template <class T>
LF_HD inline float sum_taps(const T* volume, std::int64_t ny, std::int64_t nx, const Taps1& z, const Taps1& y,
                            const Taps1& x) {
  float sum = 0;
  for (int c = 0; c < x.width; ++c) {
    if (x.weight[c] == 0) continue;
    float column = 0;
    for (int b = 0; b < y.width; ++b) {
      if (y.weight[b] == 0) continue;
      float line = 0;
      for (int a = 0; a < z.width; ++a) {
        if (z.weight[a] == 0) continue;
        line += z.weight[a] * static_cast<float>(volume[(z.index[a] * ny + y.index[b]) * nx + x.index[c]]);
      }
      column += y.weight[b] * line;
    }
    sum += x.weight[c] * column;
  }
  return sum;
}

// Row a of the grid map at an output index: the input coordinate along axis a.
LF_HD inline double mapped(const double* row, std::int64_t z, std::int64_t y, std::int64_t x) {
  return row[0] * static_cast<double>(z) + row[1] * static_cast<double>(y) + row[2] * static_cast<double>(x) + row[3];
}

}  // namespace layer_fast::voxel
