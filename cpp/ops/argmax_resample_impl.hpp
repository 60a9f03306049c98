#pragma once

#include "layer_fast/argmax_resample.hpp"

namespace layer_fast::impl {

void argmax_resample_cpu(const ArrayView& logits, const ArrayView& out, const std::optional<GridMap>& grid_map,
                         int threads);
void argmax_resample_cuda(const ArrayView& logits, const ArrayView& out, const std::optional<GridMap>& grid_map,
                          std::uintptr_t stream);

}  // namespace layer_fast::impl
