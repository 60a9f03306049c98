#pragma once

#include "layer_fast/layer_compose.hpp"

namespace layer_fast::impl {

void layer_compose_cpu(const ArrayView& image, const ArrayView& labels, const ArrayView& coalitions,
                       const ArrayView& fill, const ArrayView& out, int threads);
void layer_compose_cuda(const ArrayView& image, const ArrayView& labels, const ArrayView& coalitions,
                        const ArrayView& fill, const ArrayView& out, std::uintptr_t stream);

}  // namespace layer_fast::impl
