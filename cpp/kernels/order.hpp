// The inner loops of exact order statistics: values of one layer, side by side. NaN and Inf are passed over.
#pragma once

#include <cstdint>

#include "kernels/isa_table.hpp"

namespace layer_fast::kernels {

// Writable floats that must follow what `pick` writes.
inline constexpr std::int64_t kPickSlack = 16;

struct Order {
  // Writes those from `low` to `high` (both finite) and returns how many.
  std::int64_t (*pick)(const float* values, std::int64_t n, float low, float high, float* out);
  // Adds value i to lane i % 16 where it is above `high`; returns how many are.
  std::int64_t (*above)(const float* values, std::int64_t n, float high, double* lanes);
};

LF_KERNEL_TABLE(Order, order)

}  // namespace layer_fast::kernels
