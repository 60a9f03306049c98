// The inner loops of resampling, a row along x at a time.
#pragma once

#include <cstdint>

#include "kernels/isa_table.hpp"

namespace layer_fast::kernels {

// Readable floats that must follow a row that `along_x` reads; their values never count.
inline constexpr std::int64_t kRowSlack = 16;

// How the x pass finds its taps; made for `lanes` by ops/x_plan.cpp. Arrays are tap-major, `stride` to a tap: outputs
// rounded up to whole groups of `lanes`, weight 0 in the last ones.
enum class XReach {
  window,   // each tap of a group lies within `lanes` floats after base[0]
  windows,  // each half group's within `lanes` floats after its own base
  far,      // further apart: `index` only
};
struct XPlan {
  XReach reach = XReach::far;
  int width = 1;
  std::int64_t n = 0;
  std::int64_t stride = 0;
  const float* weight = nullptr;
  const std::int32_t* index = nullptr;
  const std::int32_t* base = nullptr;  // two to a group
  const std::int32_t* lane = nullptr;  // index - base
};

struct ResampleRows {
  // out[x] = sum over taps of weight * row[x], in tap order. rows: `width` pointers.
  using Combine = void (*)(const void* const* rows, const float* weight, int width, std::int64_t n, float* out);
  Combine combine_u8, combine_i16, combine_u16, combine_f32;

  int lanes;  // the group of along_x; 1: it reads `index` alone
  // out[x] = sum over taps of weight * row[index], in tap order.
  void (*along_x)(const XPlan& plan, const float* row, float* out);
  // clip((x - lo) / (hi - lo), 0, 1), in place.
  void (*window)(float* row, std::int64_t n, float lo, float hi);
  // Rounded half to even, saturated.
  void (*to_u8)(const float* row, std::int64_t n, void* out);
  void (*to_i16)(const float* row, std::int64_t n, void* out);
  void (*to_u16)(const float* row, std::int64_t n, void* out);
};

LF_KERNEL_TABLE(ResampleRows, resample_rows)

}  // namespace layer_fast::kernels
