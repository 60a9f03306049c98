// Order of float32 values as unsigned integers, and ranks into quantiles. Both twins include this.
#pragma once

#include <cstdint>

#include "layer_fast/portable.hpp"

namespace layer_fast {

// Monotone: a < b exactly if key(a) < key(b); -0 counts as +0. Not for NaN.
LF_HD inline std::uint32_t float_key(float value) {
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value + 0.0f);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

LF_HD inline float float_of_key(std::uint32_t key) {
  return __builtin_bit_cast(float, (key & 0x80000000u) != 0 ? key & 0x7fffffffu : ~key);
}

// The next smaller key that a value has, for the upper end of an interval: none has the one below +0, which would read as
// -0 and let 0 in.
LF_HD inline std::uint32_t key_below(std::uint32_t key) { return key == 0x80000000u ? key - 2 : key - 1; }

// The linear definition of numpy.quantile: between the order statistics at floor(h) and floor(h) + 1, h = q (n - 1).
LF_HD inline double between_ranks(double low, double high, double t) {
  const double step = high - low;
  return t >= 0.5 ? high - step * (1.0 - t) : low + step * t;
}

}  // namespace layer_fast
