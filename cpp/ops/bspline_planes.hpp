// bspline on an axis-aligned grid.
#pragma once

#include "ops/axis_taps.hpp"

namespace layer_fast::impl {

void bspline_planes(const ArrayView& in, const ArrayView& out, const GridAxes& axes, const ResampleOptions& options);

}  // namespace layer_fast::impl
