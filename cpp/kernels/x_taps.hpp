// One group of outputs of the x pass. Only kernels include this.
#pragma once

#include "kernels/lanes.hpp"
#include "kernels/resample_rows.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

// weight * row[index] for a group of outputs; the groups of the next tap follow those of this one.
template <XReach Reach>
inline Floats tap_of(const XPlan& plan, const float* row, std::int64_t group) {
  const std::int64_t x = group * kLanes;
  const Floats weight = load(plan.weight + x);
  if constexpr (Reach == XReach::far) return weight * gather(row, plan.index + x);
  const std::int32_t* base = plan.base + 2 * group;
  if constexpr (Reach == XReach::window) return weight * pick(row + base[0], plan.lane + x);
  return weight * pick(row + base[0], row + base[1], plan.lane + x);
}

template <XReach Reach, int Width>
inline Floats group_of(const XPlan& plan, const float* row, std::int64_t group) {
  Floats sum = tap_of<Reach>(plan, row, group);
  const int width = Width > 0 ? Width : plan.width;
  for (int t = 1; t < width; ++t) sum = sum + tap_of<Reach>(plan, row, t * plan.groups + group);
  return sum;
}

}  // namespace
}  // namespace layer_fast::kernels::LF_ISA
