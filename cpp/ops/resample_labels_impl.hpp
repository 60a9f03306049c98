#pragma once

#include "layer_fast/resample_labels.hpp"

namespace layer_fast::impl {

// Fractions only; nearest labels are resample's.
void resample_labels_cpu(const ArrayView& labels, const ArrayView& out, const std::optional<GridMap>& grid_map,
                         int threads);
void resample_labels_cuda(const ArrayView& labels, const ArrayView& out, const std::optional<GridMap>& grid_map,
                          std::uintptr_t stream);

}  // namespace layer_fast::impl
