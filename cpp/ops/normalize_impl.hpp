#pragma once

#include "layer_fast/normalize.hpp"

namespace layer_fast::impl {

void normalize_cpu(const ArrayView& volume, const ArrayView& out, double shift, double scale, bool clip, int threads);
void normalize_cuda(const ArrayView& volume, const ArrayView& out, double shift, double scale, bool clip, std::uintptr_t stream);

}  // namespace layer_fast::impl
