// Host: what follows from exact counts of integers, or from merged moments. Both twins end here.
#pragma once

#include <cstdint>
#include <vector>

#include "layer_fast/intensity_stats.hpp"
#include "ops/intensity_stats_accum.hpp"

namespace layer_fast::impl {

__extension__ using Int128 = __int128;

// out.count is given, and the range where anything was counted; everything else follows from the sums.
void describe_sums(Int128 sum, Int128 sum_sq, IntensityStats& out);

// The value of bin 0 is `first`.
IntensityStats describe_histogram(const std::int64_t* bins, std::int64_t size, std::int64_t first,
                                  const std::vector<double>& percentiles);

// Of all tiles of a float32 volume together. Without `moments`, what needs them is NaN.
IntensityStats describe_moments(const Moments& whole, bool moments);

}  // namespace layer_fast::impl
