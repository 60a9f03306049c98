// bspline on CUDA. Only .cu files include this.
#pragma once

#include "ops/resample_cuda_voxel.hpp"
#include "runtime/cuda/cuda_queue.hpp"

namespace layer_fast::impl {

// Coefficients (float32, of the volume's size) of a volume: along x, then y, then z, as the CPU twin.
template <class T>
void bspline_prefilter_cuda(cuda::Queue& queue, const T* in, float* coefficients, Extent size);

// Axis-aligned grids: sums of samples along z, then planes of coefficients, then taps along y and x. Takes scratch of
// (planes of out, rows of in, columns of in) floats.
template <class T, class Out>
void bspline_planes_cuda(cuda::Queue& queue, const T* in, Extent size, const GridAxes& axes, Out* out, Extent made,
                         const Epilogue& epilogue);

}  // namespace layer_fast::impl
