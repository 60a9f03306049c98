// The inner loops of intensity_stats.
#pragma once

#include <cstdint>

#include "kernels/isa_table.hpp"
#include "ops/intensity_stats_accum.hpp"

namespace layer_fast::kernels {

// Which voxels of a float32 tile count.
struct Chosen {
  std::int64_t used = 0, nonfinite = 0;
};

// Exact sums of integers; low > high: nothing counted.
struct IntegerSums {
  std::int64_t count, sum;
  std::uint64_t sum_sq;
  std::int32_t low, high;
};

struct Intensities {
  // used[i]: 1 where the voxel counts. mask may be null.
  Chosen (*choose)(const float* values, const std::uint8_t* mask, bool nonzero, std::int64_t n, std::uint8_t* used);
  // n is a whole number of lanes, `count` of them used.
  Moments (*moments)(const float* values, const std::uint8_t* used, std::int64_t n, std::int64_t count);
  // At most 65536 values, so that nothing overflows. mask may be null.
  using Sums = IntegerSums (*)(const void* values, const std::uint8_t* mask, bool nonzero, std::int64_t n);
  Sums sums_u8, sums_i16, sums_u16;
};

LF_KERNEL_TABLE(Intensities, intensities)

}  // namespace layer_fast::kernels
