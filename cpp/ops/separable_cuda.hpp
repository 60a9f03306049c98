// Resampling by taps along z, y and x on CUDA. Only .cu files include this.
#pragma once

#include "ops/resample_cuda_voxel.hpp"
#include "runtime/cuda/cuda_queue.hpp"

namespace layer_fast::impl {

// The input indices that runs of `step` outputs along one axis read: the first of each run, and how many at most.
struct Runs {
  std::int64_t step = 1;
  int span = 1;
  std::vector<std::int32_t> low;
};
Runs runs_of(const AxisTaps& taps, std::int64_t step);

// in, out: `scans` volumes each, one after the other on the device; one launch for all.
template <class T, class Out>
void separable_cuda(cuda::Queue& queue, const T* in, Extent size, const AxisTaps& z, const AxisTaps& y,
                    const AxisTaps& x, Out* out, Extent made, const Epilogue& epilogue, std::int64_t scans = 1);

}  // namespace layer_fast::impl
