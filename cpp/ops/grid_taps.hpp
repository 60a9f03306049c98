// Which voxels of a coarse map a voxel of the labels' grid reads, and with which weights. Both twins include this.
#pragma once

#include <cstdint>

#include "layer_fast/portable.hpp"

namespace layer_fast {

// Two neighbours along one axis: value = (1 - t) a[low] + t a[high]. high == low where t is 0, so that a voxel that
// does not count cannot poison the sum with NaN.
struct Tap {
  std::int32_t low, high;
  double t;
};

// position: a coordinate on the map, at integer voxel centres; clamped to the edges of its n voxels.
LF_HD inline Tap make_tap(double position, std::int64_t n) {
  const double last = static_cast<double>(n - 1);
  const double clamped = position > 0.0 ? (position < last ? position : last) : 0.0;
  const auto low = static_cast<std::int32_t>(clamped);  // clamped >= 0, so this is floor
  const double t = clamped - low;
  return {low, t > 0.0 ? low + 1 : low, t};
}

// One row of a grid map: labels' index (z, y, x) -> map coordinate.
LF_HD inline double map_position(const double* row, std::int64_t z, std::int64_t y, std::int64_t x) {
  return (row[0] * static_cast<double>(z) + row[1] * static_cast<double>(y)) + (row[2] * static_cast<double>(x) + row[3]);
}

LF_HD inline float blend(float a, float b, float t) { return a + t * (b - a); }

}  // namespace layer_fast
