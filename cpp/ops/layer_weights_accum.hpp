// How a run of voxels along x spreads over a row of the map. Both twins include this.
#pragma once

#include <cstdint>

#include "layer_fast/portable.hpp"

namespace layer_fast {

// Which voxels x of the labels' grid read one map column, and how much: they are x in [first, first + count), and
// total[i] is what the first i of them read together, total[0] = 0.
struct ColumnSupport {
  std::int64_t first, count;
  const double* total;
};

// What the voxels in [begin, end) read of the column.
LF_HD inline double run_weight(const ColumnSupport& column, std::int64_t begin, std::int64_t end) {
  const std::int64_t last = column.first + column.count;
  const std::int64_t from = begin > column.first ? begin : column.first;
  const std::int64_t to = end < last ? end : last;
  return from < to ? column.total[to - column.first] - column.total[from - column.first] : 0.0;
}

}  // namespace layer_fast
