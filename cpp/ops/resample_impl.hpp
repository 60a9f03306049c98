#pragma once

#include "layer_fast/resample.hpp"

namespace layer_fast::impl {

void resample_cpu(const ArrayView& in, const ArrayView& workspace, const ArrayView& out,
                  const ResampleOptions& options);
void resample_cuda(const ArrayView& in, const ArrayView& workspace, const ArrayView& out,
                  const ResampleOptions& options);

}  // namespace layer_fast::impl
