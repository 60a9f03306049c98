// Exact order statistics of finite float32 values per layer, without moving them. A sample says roughly where each rank
// lies, one sweep counts around there, and one collects the few values that are left. Which values are found does not
// depend on the sample, so nothing depends on threads. The search runs on the host for both twins; who owns the values
// makes the sweeps (order_sweep.hpp).
#pragma once

#include <cstdint>
#include <vector>

namespace layer_fast::impl {

class OrderSweeps;

inline constexpr std::int64_t kMostOrdered = 0xffffffff;  // voxels: sweeps count in 32 bits

// What is asked of one layer; its values are finite, NaN and Inf among them do not count.
struct LayerOrder {
  std::int64_t count = 0;           // finite values
  float low = 0, high = 0;          // the smallest and the largest of them
  std::vector<std::int64_t> ranks;  // 0: the smallest
  std::int64_t top = 0;             // how many of the largest to sum; 0: none
  std::vector<float> found;         // one value a rank
  double top_sum = 0;
};

// layers[l] for label l; labels beyond are not looked at. std::invalid_argument above kMostOrdered voxels.
void find_order(OrderSweeps& sweeps, std::vector<LayerOrder>& layers);

// The ranks below and above quantile q of `count` values, and how far between them it lies.
struct QuantileRanks {
  std::int64_t low, high;
  double t;
};
QuantileRanks quantile_ranks(double q, std::int64_t count);

// Quantiles q in [0, 1] from the values at quantile_ranks, two a quantile: numpy's linear definition, in float64.
std::vector<double> quantiles_from(const float* found, std::int64_t count, const std::vector<double>& quantiles);

}  // namespace layer_fast::impl
