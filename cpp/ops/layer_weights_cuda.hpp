// CUDA: the two ways of layer_weights.
#pragma once

#include "ops/map_taps.hpp"
#include "runtime/cuda/cuda_queue.hpp"

namespace layer_fast::impl {

struct WeightsTask {
  const std::uint8_t* labels;
  Shape3 grid, map;  // sizes of the labels' grid and of the map
  std::int64_t rows;
  double* out;    // (rows, map)
  int* highest;   // raised to a label that has no row
  std::int64_t plane() const { return map[1] * map[2]; }
};

void spread_aligned(cuda::Queue& queue, const WeightsTask& task, const GridMap& map);
void spread_oblique(cuda::Queue& queue, const WeightsTask& task, const GridMap& map);

}  // namespace layer_fast::impl
