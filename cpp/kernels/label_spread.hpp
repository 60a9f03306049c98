// The inner loop of layer_weights: a row of labels, spread over a row of the map.
#pragma once

#include <cstdint>

#include "kernels/isa_table.hpp"

namespace layer_fast::kernels {

// What the rows of one slice have in common.
struct SpreadPlan {
  const double* prefix;      // (voxels + 1, columns), see ops/layer_weights_accum.hpp
  const std::int32_t* low;   // (voxels,): the first map column that a voxel reads; it reads the next one as well
  std::int64_t voxels, columns;
  std::int64_t layer_stride;  // from a map row of one layer to that of the next
  int rows;                   // layers
};

struct LabelSpread {
  // Adds (1 - t) of each run's weights to row `low` of its layer and t to row `high`. False where a label is plan.rows or
  // more: then some may have been added.
  bool (*row)(const SpreadPlan& plan, const std::uint8_t* labels, double t, double* low, double* high);
};

LF_KERNEL_TABLE(LabelSpread, label_spread)

}  // namespace layer_fast::kernels
