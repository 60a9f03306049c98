// CPU: exact order statistics of finite float32 values without moving them.
#pragma once

#include <cstdint>
#include <vector>

namespace layer_fast::impl {

// The values that would stand at `ranks` (0 = smallest) if `values` were sorted. Counting by the upper, then the lower
// 16 bits of float_key: integers only, so nothing depends on threads.
std::vector<float> select_ranks(const float* values, std::int64_t count, const std::vector<std::int64_t>& ranks,
                                int threads);

// The ranks below and above quantile q of `count` values, and how far between them it lies.
struct QuantileRanks {
  std::int64_t low, high;
  double t;
};
QuantileRanks quantile_ranks(double q, std::int64_t count);

// Quantiles q in [0, 1] of `count` > 0 finite values: numpy's linear definition, in float64.
std::vector<double> exact_quantiles(const float* values, std::int64_t count, const std::vector<double>& quantiles,
                                    int threads);

}  // namespace layer_fast::impl
