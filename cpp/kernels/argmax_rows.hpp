// The inner loops of argmax_resample. See Note [Voxels that are decided early] in cpp/README.md.
#pragma once

#include <cstdint>

#include "kernels/resample_rows.hpp"

namespace layer_fast::kernels {

inline constexpr std::uint8_t kOpen = 255;       // a voxel whose label only interpolation can tell
inline constexpr std::int64_t kArgmaxGroup = 16;  // outputs that are interpolated together

// Two interpolated logits differ by at least the difference of their own corners' weighted sum, less the rounding of
// six nested operations each: 6 * 2^-24 of the weighted magnitudes. 2^-19 of the largest is more than twice that.
inline constexpr float kDecidedRelative = 0x1p-19f;
inline constexpr float kDecidedAbsolute = 1e-30f;  // where products are subnormal

struct ArgmaxRows {
  bool (*all_finite)(const float* values, std::int64_t n);
  // The class whose logit is so much the largest that rounding cannot hide it, else kOpen. Class k's logits start at
  // row + k * stride. False where a logit is not finite.
  bool (*decide)(const float* row, std::int64_t stride, int classes, std::int64_t n, std::uint8_t* label);
  // cells[i]: the label that all four rows have at i and at i + 1 (the last: at i), else kOpen. cells: n + 1 bytes.
  void (*agree)(const std::uint8_t* const rows[4], std::int64_t n, std::uint8_t* cells);
  // label[x] = cells[base + lane[x]] for `groups` groups of kArgmaxGroup outputs, lane < 16; those with a kOpen among
  // them go to `open`, their number back. cells is followed by 16 readable bytes, open by one that may be written.
  std::int64_t (*spread)(const std::uint8_t* cells, const std::int32_t* base, const std::uint8_t* lane,
                         std::int64_t groups, std::uint8_t* label, std::int32_t* open);
  // The class of the largest of `classes` rows, interpolated along x, in `count` groups. Taps: one or two.
  void (*largest)(const XPlan& plan, const float* rows, std::int64_t stride, int classes, const std::int32_t* groups,
                  std::int64_t count, std::uint8_t* label);
};

LF_KERNEL_TABLE(ArgmaxRows, argmax_rows)

}  // namespace layer_fast::kernels
