// One line of samples turned into coefficients of the interpolating cubic B-spline, as kernels/bspline_rows.cpp does it
// for many lines at once: the two-pass recursive filter of Unser, Aldroubi and Eden (IEEE PAMI 13, 1991).
#pragma once

#include <cstdint>

#include "kernels/bspline_rows.hpp"
#include "layer_fast/portable.hpp"

namespace layer_fast::voxel {

inline constexpr std::int64_t kBsplineHorizon = 40;  // kBsplinePole^40 < 1e-22: further samples change nothing
inline constexpr auto kBsplineStep = static_cast<float>(kernels::kBsplinePole);
inline constexpr auto kBsplineEnding =
    static_cast<float>(kernels::kBsplinePole / (kernels::kBsplinePole * kernels::kBsplinePole - 1));

// The first coefficient of the causal pass; sample(k) for 0 <= k < n, n > 1.
template <class Sample>
LF_HD inline float bspline_start(std::int64_t n, Sample sample) {
  const bool whole = n <= kBsplineHorizon;
  const std::int64_t terms = whole ? 2 * n - 2 : kBsplineHorizon;
  double first = 0, power = 1;
  for (std::int64_t k = 0; k < terms; ++k, power *= kernels::kBsplinePole) {
    first += power * static_cast<double>(sample(k < n ? k : 2 * n - 2 - k));
  }
  const double closing = whole ? 1 / (1 - power) : 1;
  return static_cast<float>(6 * closing * first);
}

LF_HD inline float bspline_causal(float sample, float before) { return 6 * sample + kBsplineStep * before; }
LF_HD inline float bspline_last(float last, float before) { return kBsplineEnding * (last + kBsplineStep * before); }
LF_HD inline float bspline_anticausal(float causal, float after) { return kBsplineStep * (after - causal); }

}  // namespace layer_fast::voxel
