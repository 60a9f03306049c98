#pragma once

#include "layer_fast/resample.hpp"

namespace layer_fast::impl {

// The CPU's twin takes one volume, CUDA's a batch (N, z, y, x).
void resample_cpu(const ArrayView& in, const ArrayView& workspace, const ArrayView& out,
                  const ResampleOptions& options);
void resample_cuda(const ArrayView& in, const ArrayView& workspace, const ArrayView& out,
                  const ResampleOptions& options);

}  // namespace layer_fast::impl
