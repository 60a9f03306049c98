// Which input indices each output index along one axis reads, and with which weights.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "layer_fast/resample.hpp"
#include "ops/resample_voxel.hpp"

namespace layer_fast::impl {

// `width` taps per output index, output-major. A tap of weight 0 (padding) repeats an index of its row that counts,
// so that a NaN reaches only the outputs that give its voxel a weight.
struct AxisTaps {
  int width = 1;
  int span = 1;  // input indices from the first to the last tap of an output index, at most
  std::vector<std::int32_t> index;
  std::vector<float> weight;

  std::int64_t size() const { return static_cast<std::int64_t>(index.size()) / width; }
  const std::int32_t* indices(std::int64_t out) const { return index.data() + out * width; }
  const float* weights(std::int64_t out) const { return weight.data() + out * width; }
};

// Taps of an interpolation. `antialias` widens the kernel of shrinking axes by the scale and normalises the weights
// over the voxels inside the volume (the filter of PIL, and of torch with antialias=True).
AxisTaps interpolation_taps(const voxel::AxisMap& axis, Interpolation interpolation, bool antialias);

// Taps of bspline on samples instead of coefficients: prefilter and interpolation of one axis in one.
AxisTaps cardinal_taps(const voxel::AxisMap& axis);

// Overlap of each output voxel's box with each input voxel, as fractions of the box.
AxisTaps box_taps(const voxel::AxisMap& axis);

// The three axes of a map that mixes none of them, in the order z, y, x.
struct GridAxes {
  voxel::AxisMap z, y, x;
};

// None where the map is oblique (or swaps axes). Without a map: half-pixel.
std::optional<GridAxes> separable_axes(const ArrayView& in, const ArrayView& out, const std::optional<GridMap>& map,
                                       int first_in = 0, int first_out = 0);

// A grid map may not move an index out of what a double or an int can say; nor be no affine map.
void check_grid_map(const char* op, const std::optional<GridMap>& map);

}  // namespace layer_fast::impl
