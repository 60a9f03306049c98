// CPU: one look at all values of all layers, for order_search.cpp.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/order_search.hpp"

namespace layer_fast::impl {

// Keys (see float_key.hpp) of one layer from `low` to `high`, among which some of its ranks lie.
struct Bracket {
  std::size_t layer;
  std::uint32_t low, high;
  bool counted = false;    // `below` and `inside` are known
  std::int64_t below = 0;  // values of the layer below `low`
  std::int64_t inside = 0;
  std::vector<std::size_t> searches = {};  // whose ranks lie here, by their place in the layer
  std::vector<std::int64_t> bins = {};     // after count_sweep: how many per bin of keys ...
  int shift = 0;                     // ... (key - low) >> shift
  std::vector<std::uint32_t> keys = {};    // after collect_sweep: all inside, in no order
  std::int64_t bin_low(std::size_t bin) const { return low + (static_cast<std::int64_t>(bin) << shift); }
};

// Counts below and inside brackets [first, last), which stand in the order of their layers.
void count_sweep(const LabelledValues& source, std::size_t layers, std::vector<Bracket>& brackets, std::size_t first,
                 std::size_t last, int threads);

// Sums per layer of what is above bounds[l], where wanted[l].
struct AboveSums {
  std::vector<float> bounds;
  std::vector<char> wanted;
  std::vector<double> sums;
  std::vector<std::int64_t> counts;
};

// Collects the keys inside all brackets, and sums.
void collect_sweep(const LabelledValues& source, std::vector<Bracket>& brackets, AboveSums& above, int threads);

// About `wanted` values spread evenly over all, with their labels.
struct Sample {
  std::vector<float> values;
  std::vector<std::uint8_t> labels;
};
Sample take_sample(const LabelledValues& source, std::int64_t wanted, int threads);

}  // namespace layer_fast::impl
