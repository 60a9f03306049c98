// The adjoint of reading a coarse map on the labels' grid, per layer.
#pragma once

#include <optional>

#include "layer_fast/array.hpp"
#include "layer_fast/resample.hpp"

namespace layer_fast {

// labels: uint8 (z, y, x). out: float64 (num_layers + 1, mz, my, mx). out[l, m] is the sum over the voxels of layer l
// of the linear weight with which they read map voxel m; so the dot product with a map is the map's sum in layer l.
void layer_weights(const ArrayView& labels, const ArrayView& out, int num_layers,
                   const std::optional<GridMap>& grid_map, Place place);

}  // namespace layer_fast
