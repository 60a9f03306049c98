// CUDA: the steps of intensity_stats on the device.
#pragma once

#include <limits>
#include <vector>

#include "layer_fast/intensity_stats.hpp"
#include "ops/intensity_stats_accum.hpp"
#include "runtime/cuda/cuda_queue.hpp"

namespace layer_fast::impl {

// The float32 voxels that count: all, those that are not 0, or those where a mask is not 0; label 1 for those, none for
// the others.
struct ChosenVoxels {
  const float* values;
  const std::uint8_t* mask;
  bool nonzero;
  std::int64_t count;
  __device__ bool chosen(std::int64_t i) const {
    return (!nonzero || values[i] != 0.0f) && (mask == nullptr || mask[i] != 0);
  }
  __device__ float value(std::int64_t i) const { return values[i]; }
  __device__ int label(std::int64_t i) const { return chosen(i) ? 1 : 256; }
};

struct TilePart {
  Moments moments;
  std::int64_t nonfinite;
};

// bins: 256 or 65536, zero before.
void count_intensities(cuda::Queue& queue, const ArrayView& volume, const std::uint8_t* mask, std::int64_t* bins);

std::vector<TilePart> tile_moments(cuda::Queue& queue, const ChosenVoxels& chosen);

std::vector<double> float_percentiles(cuda::Queue& queue, const ChosenVoxels& chosen, const Moments& whole,
                                      const std::vector<double>& percentiles);

}  // namespace layer_fast::impl
