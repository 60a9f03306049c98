// What the x pass of the kernels needs to know, for the lanes of this process's instruction set.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/resample_rows.hpp"
#include "ops/axis_taps.hpp"

namespace layer_fast::impl {

// Made once a call. `plan` points into the other members, so it is neither copied nor moved.
class XPass {
 public:
  explicit XPass(const AxisTaps& taps);
  XPass(const XPass&) = delete;
  XPass& operator=(const XPass&) = delete;

  // row: followed by kRowSlack readable floats.
  void operator()(const float* row, float* out) const { rows_.along_x(plan_, row, out); }
  const kernels::XPlan& plan() const { return plan_; }

 private:
  bool find_halves(int lanes);
  void find_windows(int lanes);

  const kernels::ResampleRows& rows_;
  kernels::XPlan plan_;
  std::vector<float> weight_;
  std::vector<std::int32_t> index_, base_, lane_;
};

// Nearest neighbours of bytes along x, where every eight outputs lie within sixteen voxels.
class BytePick {
 public:
  BytePick(const AxisTaps& taps, std::int64_t n_in);
  BytePick(const BytePick&) = delete;
  BytePick& operator=(const BytePick&) = delete;

  bool near() const { return near_; }
  void operator()(const std::uint8_t* row, const std::uint8_t* next, std::uint8_t* out) const {
    rows_.pick_u8(row, next, plan_, out);
  }

 private:
  const kernels::ResampleRows& rows_;
  kernels::PickPlan plan_;
  bool near_;
  std::vector<std::int32_t> base_;
  std::vector<std::uint8_t> lane_;
};

}  // namespace layer_fast::impl
