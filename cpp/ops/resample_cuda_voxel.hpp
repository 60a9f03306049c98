// One output voxel of the CUDA twins of resampling. The sums and their order are those of the CPU's kernels
// (kernels/resample_rows.hpp): weight times voxel along z, then y, then x, each sum begun by its first product.
#pragma once

#include <limits>
#include <type_traits>

#include "ops/axis_taps_cuda.hpp"
#include "ops/resample_voxel.hpp"

namespace layer_fast::impl {

struct Extent {
  std::int64_t z, y, x;
};

// What is done to a float32 result before it is written.
struct Epilogue {
  bool windows;
  float lo, hi;
};

template <class Out>
struct Bounds {
  static constexpr auto low = static_cast<float>(std::numeric_limits<Out>::min());
  static constexpr auto high = static_cast<float>(std::numeric_limits<Out>::max());
};

template <class Out>
__device__ inline Out finished(float value, const Epilogue& epilogue) {
  if constexpr (std::is_same_v<Out, float>) {
    return epilogue.windows ? voxel::windowed(value, epilogue.lo, epilogue.hi) : value;
  } else {
    return static_cast<Out>(static_cast<std::int32_t>(voxel::saturated(value, Bounds<Out>::low, Bounds<Out>::high)));
  }
}

// Read-only data through the read-only cache.
template <class T>
__device__ inline float sample(const T* at) {
  return static_cast<float>(__ldg(at));
}

// Width > 0: known when compiled, so that loops are unrolled; 0: the taps' own.
template <int Width, class T>
__device__ inline float separable_sum(const T* volume, std::int64_t ny, std::int64_t nx, const TapsView& tz,
                                      const TapsView& ty, const TapsView& tx, std::int64_t z, std::int64_t y,
                                      std::int64_t x) {
  const std::int32_t *iz = tz.indices(z), *iy = ty.indices(y), *ix = tx.indices(x);
  const float *wz = tz.weights(z), *wy = ty.weights(y), *wx = tx.weights(x);
  const int width_z = Width > 0 ? Width : tz.width, width_y = Width > 0 ? Width : ty.width;
  const int width_x = Width > 0 ? Width : tx.width;
  float sum = 0;
  for (int c = 0; c < width_x; ++c) {
    float column = 0;
    for (int b = 0; b < width_y; ++b) {
      const T* line_at = volume + iy[b] * nx + ix[c];
      float line = wz[0] * sample(line_at + iz[0] * ny * nx);
      for (int a = 1; a < width_z; ++a) line = line + wz[a] * sample(line_at + iz[a] * ny * nx);
      column = b == 0 ? wy[0] * line : column + wy[b] * line;
    }
    sum = c == 0 ? wx[0] * column : sum + wx[c] * column;
  }
  return sum;
}

}  // namespace layer_fast::impl
