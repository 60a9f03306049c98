// One group of outputs of the x pass. Only kernels include this.
#pragma once

#include "kernels/lanes.hpp"
#include "kernels/resample_rows.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

// What the taps of a group pick from where they lie close together: loaded once for all taps.
#if defined(__AVX2__) && !defined(__AVX512F__)
template <XReach Reach>
inline auto halves(const float* lower, const float* upper) {
  if constexpr (Reach == XReach::four) {
    return near(lower, upper);
  } else {
    return wide(lower, upper);
  }
}
#else
template <XReach Reach>
inline const float* halves(const float* row, const float*) {
  return row;
}
#endif

// weight * row[index] for a group of outputs; the groups of the next tap follow those of this one.
template <XReach Reach>
inline Floats tap_of(const XPlan& plan, const float* row, std::int64_t group) {
  const std::int64_t x = group * kLanes;
  const Floats weight = load(plan.weight + x);
  [[maybe_unused]] const std::int32_t* base = plan.base + 2 * group;
  if constexpr (Reach == XReach::window) return weight * pick(row + base[0], plan.lane + x);
  if constexpr (Reach == XReach::windows) return weight * pick(row + base[0], row + base[1], plan.lane + x);
  return weight * gather(row, plan.index + x);
}

template <XReach Reach, int Width>
inline Floats group_of(const XPlan& plan, const float* row, std::int64_t group) {
  const int width = Width > 0 ? Width : plan.width;
  const auto sum_of = [&](auto tap) {
    Floats sum = tap(group);
    for (int t = 1; t < width; ++t) sum = sum + tap(t * plan.groups + group);
    return sum;
  };
  if constexpr (kHalves && (Reach == XReach::four || Reach == XReach::eight)) {
    const float *lower = row + plan.base[2 * group], *upper = row + plan.base[2 * group + 1];
    const auto from = halves<Reach>(lower, upper);
    return sum_of([&](std::int64_t g) { return load(plan.weight + g * kLanes) * pick(from, plan.lane + g * kLanes); });
  } else {
    return sum_of([&](std::int64_t g) { return tap_of<Reach>(plan, row, g); });
  }
}

}  // namespace
}  // namespace layer_fast::kernels::LF_ISA
