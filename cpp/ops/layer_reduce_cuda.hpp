// CUDA: the steps of layer_reduce behind its tiles, on the device.
#pragma once

#include "layer_fast/layer_reduce.hpp"
#include "ops/device_map_cuda.hpp"
#include "ops/layer_reduce_accum.hpp"

namespace layer_fast::impl {

// What a call is about: K maps, read as `source` says, on the labels or the soft weights of `rows` layers.
struct ReduceTask {
  MapSource source;
  const std::uint8_t* labels;  // null: weights
  const float* weights;        // null: labels
  std::int64_t voxels, tiles, maps_n;
  int rows;
};

// parts: (K, tiles, rows). Writes all moments and the first voxel that holds each maximum.
void merge_tiles(cuda::Queue& queue, const ReduceTask& task, const LayerPartial* parts, const LayerReduceOut& out);

void count_bins(cuda::Queue& queue, const ReduceTask& task, const HistogramRange& range, std::int64_t* bins);

// Quantiles and top shares; the moments are written already.
void order_statistics_cuda(cuda::Queue& queue, const ReduceTask& task, const LayerReduceOut& out,
                           const LayerReduceOptions& options);

}  // namespace layer_fast::impl
