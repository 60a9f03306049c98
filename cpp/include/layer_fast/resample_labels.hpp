// A label volume (z, y, x) on another grid, as labels or as the share that each label has of each voxel.
#pragma once

#include <optional>

#include "layer_fast/array.hpp"
#include "layer_fast/resample.hpp"

namespace layer_fast {

// labels: u8 (z, y, x).
// out u8 (z, y, x): the nearest voxel's label. out f32 (num_labels, z, y, x): the fraction of each output voxel's box
// that each label fills; outside the volume its edge voxels go on. A label >= num_labels is an error, and so is, for
// fractions, a map that mixes axes or has a scale of 0.
void resample_labels(const ArrayView& labels, const ArrayView& out, const std::optional<GridMap>& grid_map, Place place);

}  // namespace layer_fast
