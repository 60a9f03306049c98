// The inner loops of intensity_stats for float32. NaN and Inf never count.
#pragma once

#include <cstdint>

#include "kernels/isa_table.hpp"
#include "ops/intensity_stats_accum.hpp"

namespace layer_fast::kernels {

// How many values of a part count, and how many of the chosen ones are NaN or Inf.
struct Chosen {
  std::int64_t used = 0, nonfinite = 0;
};

struct TileMoments {
  Moments moments;
  std::int64_t nonfinite;
};

inline constexpr std::int64_t kMostPlaced = 4096;

// How many values are below an interval, and how many in it, both ends included.
struct Place {
  std::int64_t below = 0, inside = 0;
};

struct FloatStats {
  // Of one tile. mask may be null.
  TileMoments (*moments)(const float* values, const std::uint8_t* mask, bool nonzero, std::int64_t n);
  // Which of n values count; unless all do, writes each that does to `out` and NaN in place of the others.
  Chosen (*choose)(const float* values, const std::uint8_t* mask, bool nonzero, std::int64_t n, float* out);
  // Of kMostPlaced values at most. NaN and Inf are passed over. Writes what is inside to `out` (with kPickSlack behind
  // it, see order.hpp) unless that is null. The n floats at `next`, unless null, are read next: they are asked for.
  Place (*place)(const float* values, std::int64_t n, float low, float high, float* out, const float* next);
};

LF_KERNEL_TABLE(FloatStats, float_stats)

}  // namespace layer_fast::kernels
