// What resampling means, voxel by voxel; both twins include it.
// Coordinates and kernels are float64, weights and sums float32, sums run z innermost, then y, then x.
#pragma once

#include <cmath>
#include <cstdint>

#include "layer_fast/portable.hpp"

namespace layer_fast::voxel {

// One axis of a grid map: output index -> input coordinate at voxel centres.
struct AxisMap {
  std::int64_t n_in = 1;
  std::int64_t n_out = 1;
  bool half_pixel = true;  // x_in = (x_out + 1/2) * n_in / n_out - 1/2; else scale * x_out + offset
  double scale = 1;
  double offset = 0;
};

LF_HD inline double coordinate(const AxisMap& axis, std::int64_t out) {
  const double o = static_cast<double>(out);
  if (!axis.half_pixel) return axis.scale * o + axis.offset;
  return (o + 0.5) * static_cast<double>(axis.n_in) / static_cast<double>(axis.n_out) - 0.5;
}

// Input voxels per output voxel along the axis; above 1 the axis shrinks.
LF_HD inline double shrink(const AxisMap& axis) {
  if (!axis.half_pixel) return axis.scale < 0 ? -axis.scale : axis.scale;
  return static_cast<double>(axis.n_in) / static_cast<double>(axis.n_out);
}

// Outside the volume its edge voxel goes on for ever: coordinates are clamped to the outermost centres.
LF_HD inline double clamped(double x, std::int64_t n) {
  const double last = static_cast<double>(n - 1);
  return x < 0 ? 0 : x > last ? last : x;
}

// The nearest voxel; halves go up.
LF_HD inline std::int64_t nearest_index(double x, std::int64_t n) {
  return static_cast<std::int64_t>(::floor(clamped(x, n) + 0.5));
}

LF_HD inline double triangle(double t) {
  t = t < 0 ? -t : t;
  return t < 1 ? 1 - t : 0;
}

// Keys' cubic with a = -1/2 (Catmull-Rom).
LF_HD inline double catmull_rom(double t) {
  t = t < 0 ? -t : t;
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  if (t < 2) return ((-0.5 * t + 2.5) * t - 4) * t + 2;
  return 0;
}

// The cubic B-spline.
LF_HD inline double bspline3(double t) {
  t = t < 0 ? -t : t;
  if (t < 1) return (0.5 * t - 1) * t * t + 2.0 / 3.0;
  if (t < 2) return (2 - t) * (2 - t) * (2 - t) / 6;
  return 0;
}

// Taps that fall outside: the edge voxel for linear and cubic, the mirror (about the edge voxel's centre) for bspline.
LF_HD inline std::int64_t edge_index(std::int64_t i, std::int64_t n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

LF_HD inline std::int64_t mirror_index(std::int64_t i, std::int64_t n) {
  if (n == 1) return 0;
  const std::int64_t period = 2 * (n - 1);
  i %= period;
  if (i < 0) i += period;
  return i < n ? i : period - i;
}

// clip((x - lo) / (hi - lo), 0, 1); NaN stays NaN.
LF_HD inline float windowed(float x, float lo, float hi) {
  const float v = (x - lo) / (hi - lo);
  return v < 0.0f ? 0.0f : v > 1.0f ? 1.0f : v;
}

// Half to even by the float format itself: beyond 1.5 * 2^23 the spacing is 1. For |x| < 2^22.
LF_HD inline float round_half_even(float x) {
  const float magic = 12582912.0f;
  return (x + magic) - magic;
}

LF_HD inline float saturated(float x, float low, float high) {
  return round_half_even(x < low ? low : x > high ? high : x);
}

}  // namespace layer_fast::voxel
