// CUDA: the steps of layer_reduce behind its tiles, on the device.
#pragma once

#include "layer_fast/layer_reduce.hpp"
#include "ops/device_map_cuda.hpp"
#include "ops/layer_reduce_accum.hpp"

namespace layer_fast::impl {

// What a call is about: `maps_n` maps, read as `source` says, on masks of `rows` layers, labels or soft weights. As many
// maps as `maps_of_mask` share a mask, one after the other: those of one scan.
struct ReduceTask {
  MapSource source;
  const std::uint8_t* all_labels;  // (N, voxels); null: weights
  const float* all_weights;        // (N, rows, voxels); null: labels
  std::int64_t voxels, tiles, maps_n, maps_of_mask;
  int rows;

  __host__ __device__ std::int64_t mask_of(std::int64_t k) const { return k / maps_of_mask; }
  __host__ __device__ const std::uint8_t* labels(std::int64_t k) const { return all_labels + mask_of(k) * voxels; }
  __host__ __device__ const float* weights(std::int64_t k, std::int64_t row) const {
    return all_weights + (mask_of(k) * rows + row) * voxels;
  }
};

// parts: (K, tiles, rows). Writes all moments and the first voxel that holds each maximum.
void merge_tiles(cuda::Queue& queue, const ReduceTask& task, const LayerPartial* parts, const LayerReduceOut& out);

void count_bins(cuda::Queue& queue, const ReduceTask& task, const HistogramRange& range, std::int64_t* bins);

// Quantiles and top shares; the moments are written already.
void order_statistics_cuda(cuda::Queue& queue, const ReduceTask& task, const LayerReduceOut& out,
                           const LayerReduceOptions& options);

}  // namespace layer_fast::impl
