// The inner loops of resampling, a row along x at a time.
#pragma once

#include <cstdint>

#include "kernels/isa_table.hpp"

namespace layer_fast::kernels {

// Readable floats that must follow a row that `along_x` reads; their values never count.
inline constexpr std::int64_t kRowSlack = 16;

// How the x pass finds its taps; made for `lanes` by ops/x_plan.cpp. Arrays are tap-major; outputs are
// rounded up to whole groups of `lanes`, with weight 0 in the last ones.
enum class XReach {
  four,     // all taps of each half group lie within four floats after its base
  eight,    // within eight
  window,   // each tap of a group lies within `lanes` floats after base[0]
  windows,  // each half group's within `lanes` floats after its own base
  far,      // further apart: `index` only
};
struct XPlan {
  XReach reach = XReach::far;
  int width = 1;
  std::int64_t n = 0;
  std::int64_t groups = 0;
  const float* weight = nullptr;
  const std::int32_t* index = nullptr;
  const std::int32_t* base = nullptr;  // two to a group
  const std::int32_t* lane = nullptr;  // index - base; for four and eight see lane_of_half
};

// The lane of an input that lies `after` its half group's base: which of four, and in the sign which four.
inline constexpr std::int32_t lane_of_half(std::int32_t after) { return after < 4 ? after : (after - 4) | INT32_MIN; }

// Nearest neighbours along x: out[x] = row[base[x / 8] + lane[x]], lane < 16. `lane` is followed by 8 readable bytes,
// and base + 16 lies within the row.
struct PickPlan {
  std::int64_t n = 0;
  std::int64_t n_in = 0;
  const std::int32_t* base = nullptr;
  const std::uint8_t* lane = nullptr;
};

// Rows of one dtype combined into a row of floats.
struct RowKernels {
  // out[x] = sum over taps of weight * row[x], in tap order. rows: `width` pointers.
  void (*combine)(const void* const* rows, const float* weight, int width, std::int64_t n, float* out);
  // Two taps over z in two over y: out[x] = wy[0] * (wz[0] * rows[0][x] + wz[1] * rows[1][x]) + wy[1] * (... 2, 3).
  // ahead: how many voxels after each row the next call's will be, to fetch it early (any number is allowed).
  void (*cross)(const void* const* rows, const float* wz, const float* wy, std::int64_t n, std::int64_t ahead,
                float* out);
};

struct ResampleRows {
  RowKernels u8, i16, u16, f32;
  int lanes;    // the group of along_x; 1: it reads `index` alone
  bool halves;  // whether it knows the reaches four and eight, which are the fastest
  // out[x] = sum over taps of weight * row[index], in tap order.
  void (*along_x)(const XPlan& plan, const float* row, float* out);
  // next: the row that comes after, to fetch it early.
  void (*pick_u8)(const std::uint8_t* row, const std::uint8_t* next, const PickPlan& plan, std::uint8_t* out);

  // Copies n floats, a multiple of 16, past the cache; both ends lie on 64 bytes. Ends with stream_end, once a thread.
  void (*stream)(const float* from, float* to, std::int64_t n);
  void (*stream_end)();

  // clip((x - lo) / (hi - lo), 0, 1), in place.
  void (*window)(float* row, std::int64_t n, float lo, float hi);
  // Rounded half to even, saturated.
  void (*to_u8)(const float* row, std::int64_t n, void* out);
  void (*to_i16)(const float* row, std::int64_t n, void* out);
  void (*to_u16)(const float* row, std::int64_t n, void* out);
};

LF_KERNEL_TABLE(ResampleRows, resample_rows)

}  // namespace layer_fast::kernels
