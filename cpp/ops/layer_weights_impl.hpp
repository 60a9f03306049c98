#pragma once

#include "layer_fast/layer_weights.hpp"

namespace layer_fast::impl {

void layer_weights_cpu(const ArrayView& labels, const ArrayView& out, int num_layers,
                       const std::optional<GridMap>& grid_map, int threads);
void layer_weights_cuda(const ArrayView& labels, const ArrayView& out, int num_layers,
                        const std::optional<GridMap>& grid_map, std::uintptr_t stream);

}  // namespace layer_fast::impl
