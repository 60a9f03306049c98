// A volume (z, y, x) on another grid, or a batch of them.
#pragma once

#include <array>
#include <optional>

#include "layer_fast/array.hpp"

namespace layer_fast {

enum class Interpolation { nearest, linear, cubic, bspline };

// Output index -> input index, both (z, y, x) at voxel centres, row-major 4 x 4.
using GridMap = std::array<double, 16>;

struct ResampleOptions {
  Interpolation interpolation = Interpolation::linear;
  bool antialias = false;           // shrinking axes: kernel widened by the scale; linear and cubic only
  std::optional<GridMap> grid_map;  // none: x_in = (x_out + 1/2) * n_in / n_out - 1/2
  bool has_window = false;          // out = clip((x - lo) / (hi - lo), 0, 1); float32 output only
  float lo = 0;
  float hi = 1;
  Place place;
};

// in: u8, i16, u16 or f32; (z, y, x), or (N, z, y, x) for a batch, with out alike: the bytes of N calls, on CUDA in the
// launches of one (bspline: of N). out: f32, or the dtype of in (rounded half to even, saturated).
// workspace: float32 of in's shape for an oblique bspline (its coefficients), else unused (an empty view).
// Runs where the arrays live.
void resample(const ArrayView& in, const ArrayView& workspace, const ArrayView& out, const ResampleOptions& options);

}  // namespace layer_fast
