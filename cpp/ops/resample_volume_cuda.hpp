// A thread for every output voxel: blocks of 32 x 8 in a plane, so that a warp reads and writes along x.
#pragma once

#include "ops/resample_cuda_voxel.hpp"
#include "runtime/cuda/cuda_queue.hpp"

namespace layer_fast::impl {

inline constexpr unsigned kBlockX = 32, kBlockY = 8;

inline dim3 grid_of(const Extent& out) {
  const unsigned deep = out.z < 65535 ? static_cast<unsigned>(out.z) : 65535u;
  const unsigned high = cuda::blocks_for(out.y, kBlockY);
  return {cuda::blocks_for(out.x, kBlockX), high < 65535u ? high : 65535u, deep};
}

// Calls voxel(z, y, x) for every output voxel of this thread; z and y go round where the grid is at its limit.
template <class Voxel>
__device__ inline void for_voxels(const Extent& out, Voxel voxel) {
  const std::int64_t x = static_cast<std::int64_t>(blockIdx.x) * kBlockX + threadIdx.x;
  if (x >= out.x) return;
  for (std::int64_t z = blockIdx.z; z < out.z; z += gridDim.z) {
    for (std::int64_t y = static_cast<std::int64_t>(blockIdx.y) * kBlockY + threadIdx.y; y < out.y;
         y += static_cast<std::int64_t>(gridDim.y) * kBlockY) {
      voxel(z, y, x);
    }
  }
}

// The same for `scans` volumes one after the other: voxel(scan, z, y, x) on a grid_of({scans * out.z, out.y, out.x}).
template <class Voxel>
__device__ inline void for_scans_voxels(std::int64_t scans, const Extent& out, Voxel voxel) {
  for_voxels({scans * out.z, out.y, out.x}, [&](std::int64_t plane, std::int64_t y, std::int64_t x) {
    const std::int64_t scan = scans == 1 ? 0 : plane / out.z;  // a division of 64 bits takes a GPU longer than the voxel
    voxel(scan, plane - scan * out.z, y, x);
  });
}

}  // namespace layer_fast::impl
