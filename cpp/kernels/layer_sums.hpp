// The inner loop of layer_reduce: sums of a map per label, a tile at a time.
#pragma once

#include <cstdint>

#include "kernels/isa_table.hpp"
#include "ops/layer_reduce_accum.hpp"

namespace layer_fast::kernels {

// The layers of one tile while it is summed; see ops/layer_reduce_accum.hpp for what is added where. Groups of one label
// come as vectors, so their lanes lie side by side; of a voxel among others the four terms do.
struct alignas(64) LayerTile {
  struct Pure {
    double pos[kReduceLanes], neg[kReduceLanes], sq[kReduceLanes];
    float low[kReduceLanes], high[kReduceLanes];  // as many lanes are used as a vector has
  };
  Pure pure[256];
  double mixed[256][kReduceLanes][4];  // positive part, negative part, square, count
  float low[256], high[256];           // of `mixed`
  std::int32_t pure_count[256], nonfinite[256];
  bool is_signed[256];  // a negative value, or a hole, was met in a plain group
  // Every layer has a mixed value at or below `floor`, and one at or above `ceiling`.
  float floor, ceiling;
  int rows;
};

struct LayerSums {
  // Clears the first `rows` layers.
  void (*open)(LayerTile& tile, int rows);
  // Adds `count` voxels, the first of them in lane 0. False, and not all added, if a label is `rows` or more.
  bool (*add)(LayerTile& tile, const float* values, const std::uint8_t* labels, std::int64_t count);
  // The sums of each layer.
  void (*close)(const LayerTile& tile, LayerPartial* out);
};

LF_KERNEL_TABLE(LayerSums, layer_sums)

}  // namespace layer_fast::kernels
