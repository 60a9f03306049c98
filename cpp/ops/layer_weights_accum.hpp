// How a run of voxels along x spreads over a row of the map. Both twins include this.
#pragma once

#include <cstdint>

#include "layer_fast/portable.hpp"

namespace layer_fast {

// prefix[x * columns + m] is what the voxels before x read of map column m together, prefix[m] = 0. So a column that the
// voxels in [begin, end) do not read gets exactly 0.
LF_HD inline double run_weight(const double* prefix, std::int64_t columns, std::int64_t begin, std::int64_t end,
                               std::int64_t m) {
  return prefix[end * columns + m] - prefix[begin * columns + m];
}

}  // namespace layer_fast
