// The inner loops of reading a coarse map on a finer grid, a row along x at a time.
#pragma once

#include <cstdint>

#include "kernels/isa_table.hpp"

namespace layer_fast::kernels {

// Readable floats that must follow a row of the map; their values never count.
inline constexpr std::int64_t kMapRowSlack = 16;

// Where voxel x of the labels' grid reads a row of the map: blend(row[low[x]], row[high[x]], t[x]). Where `base` is there,
// each whole group of `lanes` voxels reads within `lanes` floats after its own base; low_lane and high_lane count from it.
struct MapRowPlan {
  const std::int32_t* low = nullptr;
  const std::int32_t* high = nullptr;
  const float* t = nullptr;
  const std::int32_t* base = nullptr;
  const std::int32_t* low_lane = nullptr;
  const std::int32_t* high_lane = nullptr;
};

struct MapRows {
  int lanes;  // 1: `base` is of no use
  // One row of the map at (z, y): a, b, c, d are its rows at (z low, y low), (z low, y high), (z high, y low), ...
  void (*over_zy)(const float* a, const float* b, const float* c, const float* d, float ty, float tz, std::int64_t n,
                  float* out);
  // Voxels [x, x + n) of the labels' grid.
  void (*along_x)(const MapRowPlan& plan, const float* row, std::int64_t x, std::int64_t n, float* out);
};

LF_KERNEL_TABLE(MapRows, map_rows)

}  // namespace layer_fast::kernels
