#include "kernels/resample_rows.hpp"

#include <limits>

#include "kernels/lanes.hpp"
#include "ops/resample_voxel.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

// ---- rows combined over z or y ----

template <int Width, class T>
void combine_fixed(const T* const* rows, const float* weight, std::int64_t n, float* __restrict out) {
  const T* __restrict r0 = rows[0];
  const T* __restrict r1 = rows[Width > 1 ? 1 : 0];
  const T* __restrict r2 = rows[Width > 2 ? 2 : 0];
  const T* __restrict r3 = rows[Width > 3 ? 3 : 0];
  const float w0 = weight[0], w1 = weight[Width > 1 ? 1 : 0];
  const float w2 = weight[Width > 2 ? 2 : 0], w3 = weight[Width > 3 ? 3 : 0];
  for (std::int64_t x = 0; x < n; ++x) {
    float sum = w0 * static_cast<float>(r0[x]);
    if constexpr (Width > 1) sum += w1 * static_cast<float>(r1[x]);
    if constexpr (Width > 2) sum += w2 * static_cast<float>(r2[x]);
    if constexpr (Width > 3) sum += w3 * static_cast<float>(r3[x]);
    out[x] = sum;
  }
}

// Further taps, two at a time, onto what is there: the same order of additions.
template <class T>
void add_taps(const T* const* rows, const float* weight, int width, std::int64_t n, float* __restrict out) {
  int t = 0;
  for (; t + 1 < width; t += 2) {
    const T* __restrict r0 = rows[t];
    const T* __restrict r1 = rows[t + 1];
    const float w0 = weight[t], w1 = weight[t + 1];
    for (std::int64_t x = 0; x < n; ++x) {
      out[x] = (out[x] + w0 * static_cast<float>(r0[x])) + w1 * static_cast<float>(r1[x]);
    }
  }
  if (t == width) return;
  const T* __restrict row = rows[t];
  const float w = weight[t];
  for (std::int64_t x = 0; x < n; ++x) out[x] += w * static_cast<float>(row[x]);
}

template <class T>
void combine(const void* const* untyped, const float* weight, int width, std::int64_t n, float* out) {
  const auto* rows = reinterpret_cast<const T* const*>(untyped);
  switch (width) {
    case 1: return combine_fixed<1>(rows, weight, n, out);
    case 2: return combine_fixed<2>(rows, weight, n, out);
    case 3: return combine_fixed<3>(rows, weight, n, out);
    default: break;
  }
  combine_fixed<4>(rows, weight, n, out);
  if (width > 4) add_taps(rows + 4, weight + 4, width - 4, n, out);
}

// ---- along x ----

template <XReach Reach>
Floats tap_of(const XPlan& plan, const float* row, std::int64_t t, std::int64_t group) {
  const std::int64_t at = t * plan.stride + group * kLanes;
  const Floats weight = load(plan.weight + at);
  if constexpr (Reach == XReach::far) return weight * gather(row, plan.index + at);
  const std::int32_t* base = plan.base + 2 * (at / kLanes);
  if constexpr (Reach == XReach::window) return weight * pick(row + base[0], plan.lane + at);
  return weight * pick(row + base[0], row + base[1], plan.lane + at);
}

template <XReach Reach, int Width>
Floats group_of(const XPlan& plan, const float* row, std::int64_t group) {
  Floats sum = tap_of<Reach>(plan, row, 0, group);
  const int width = Width > 0 ? Width : plan.width;
  for (int t = 1; t < width; ++t) sum = sum + tap_of<Reach>(plan, row, t, group);
  return sum;
}

template <XReach Reach, int Width>
void groups(const XPlan& plan, const float* row, float* out) {
  const std::int64_t whole = plan.n / kLanes;
  for (std::int64_t group = 0; group < whole; ++group) store(out + group * kLanes, group_of<Reach, Width>(plan, row, group));
  if (whole * kLanes == plan.n) return;
  float last[kLanes];
  store(last, group_of<Reach, Width>(plan, row, whole));
  for (std::int64_t x = whole * kLanes; x < plan.n; ++x) out[x] = last[x - whole * kLanes];
}

template <XReach Reach>
void with_width(const XPlan& plan, const float* row, float* out) {
  switch (plan.width) {
    case 1: return groups<Reach, 1>(plan, row, out);
    case 2: return groups<Reach, 2>(plan, row, out);
    case 4: return groups<Reach, 4>(plan, row, out);
    default: return groups<Reach, 0>(plan, row, out);
  }
}

void along_x(const XPlan& plan, const float* row, float* out) {
  switch (plan.reach) {
    case XReach::window: return with_width<XReach::window>(plan, row, out);
    case XReach::windows: return with_width<XReach::windows>(plan, row, out);
    case XReach::far: return with_width<XReach::far>(plan, row, out);
  }
}

// ---- to the output's dtype ----

void window(float* row, std::int64_t n, float lo, float hi) {
  for (std::int64_t x = 0; x < n; ++x) row[x] = voxel::windowed(row[x], lo, hi);
}

template <class Out>
void convert(const float* __restrict row, std::int64_t n, void* untyped) {
  Out* __restrict out = static_cast<Out*>(untyped);
  constexpr auto low = static_cast<float>(std::numeric_limits<Out>::min());
  constexpr auto high = static_cast<float>(std::numeric_limits<Out>::max());
  for (std::int64_t x = 0; x < n; ++x) {
    out[x] = static_cast<Out>(static_cast<std::int32_t>(voxel::saturated(row[x], low, high)));
  }
}

}  // namespace

const ResampleRows resample_rows{
    combine<std::uint8_t>, combine<std::int16_t>, combine<std::uint16_t>, combine<float>, kLanes, along_x, window,
    convert<std::uint8_t>, convert<std::int16_t>, convert<std::uint16_t>};

}  // namespace layer_fast::kernels::LF_ISA
