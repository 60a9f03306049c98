// Coefficients of the interpolating cubic B-spline, mirror boundary (about the centres of the edge voxels).
#pragma once

#include <cstdint>

#include "layer_fast/array.hpp"

namespace layer_fast::impl {

// in: u8, i16, u16 or f32 (z, y, x); coefficients: float32 of the same shape.
void bspline_prefilter(const ArrayView& in, const ArrayView& coefficients, int threads);

}  // namespace layer_fast::impl
