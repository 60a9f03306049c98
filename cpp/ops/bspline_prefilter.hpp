// Coefficients of the interpolating cubic B-spline, mirror boundary (about the centres of the edge voxels).
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/bspline_rows.hpp"
#include "layer_fast/array.hpp"

namespace layer_fast::impl {

// Filters planes (ny, nx) along x, then y, in place. One to a worker.
class PlaneFilter {
 public:
  PlaneFilter(std::int64_t ny, std::int64_t nx);
  void operator()(float* plane);

 private:
  const kernels::BsplineRows& kernels_ = kernels::bspline_rows();
  std::int64_t ny_, nx_;
  std::vector<float> turned_;
  std::vector<double> first_;
};

// in: u8, i16, u16 or f32 (z, y, x); coefficients: float32 of the same shape.
void bspline_prefilter(const ArrayView& in, const ArrayView& coefficients, int threads);

}  // namespace layer_fast::impl
