// The inner loops of intensity_stats for integers.
#pragma once

#include <cstdint>

#include "kernels/isa_table.hpp"

namespace layer_fast::kernels {

// Exact sums of integers; low > high: nothing counted.
struct IntegerSums {
  std::int64_t count, sum;
  std::uint64_t sum_sq;
  std::int32_t low, high;
};

inline constexpr int kBoundsAtOnce = 8;

struct Intensities {
  // At most 65536 values, so that nothing overflows. mask may be null.
  using Sums = IntegerSums (*)(const void* values, const std::uint8_t* mask, bool nonzero, std::int64_t n);
  Sums sums_u8, sums_i16, sums_u16;
  // Adds to counts[k] how many bytes are below bounds[k]; kBoundsAtOnce of them.
  void (*below)(const std::uint8_t* values, std::int64_t n, const std::uint8_t* bounds, std::int64_t* counts);
};

LF_KERNEL_TABLE(Intensities, intensities)

}  // namespace layer_fast::kernels
