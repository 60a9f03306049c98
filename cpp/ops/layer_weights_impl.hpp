#pragma once

#include <vector>

#include "layer_fast/layer_weights.hpp"
#include "ops/map_taps.hpp"

namespace layer_fast::impl {

void layer_weights_cpu(const ArrayView& labels, const ArrayView& out, int num_layers,
                       const std::optional<GridMap>& grid_map, int threads);
void layer_weights_cuda(const ArrayView& labels, const ArrayView& out, int num_layers,
                        const std::optional<GridMap>& grid_map, std::uintptr_t stream);

// Private copies of the result in the oblique case, one for each share of the slices: fixed, not threads.
inline constexpr std::int64_t kWeightStrands = 8;

// See layer_weights_accum.hpp; (voxels along x + 1, columns).
std::vector<double> run_prefix(const MapTaps& x, std::int64_t columns);

}  // namespace layer_fast::impl
