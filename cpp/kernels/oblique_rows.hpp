// Rows of a volume under a map that mixes the axes.
#pragma once

#include <cstdint>

#include "kernels/isa_table.hpp"

namespace layer_fast::kernels {

struct ObliqueVolume {
  const void* data;
  std::int64_t nz, ny, nx;  // nx > 1
  const double* map;        // 3 rows of 4: output index (z, y, x) -> input index
};

struct ObliqueRows {
  // Linear interpolation of output row (z, y), n voxels: the values of voxel::taps_at and voxel::sum_taps.
  using Linear = void (*)(const ObliqueVolume& volume, std::int64_t z, std::int64_t y, std::int64_t n, float* out);
  Linear linear_u8, linear_i16, linear_u16, linear_f32;
};

LF_KERNEL_TABLE(ObliqueRows, oblique_rows)

}  // namespace layer_fast::kernels
