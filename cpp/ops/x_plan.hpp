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
  std::int64_t size() const { return plan_.n; }

 private:
  void find_windows(int lanes);

  const kernels::ResampleRows& rows_;
  kernels::XPlan plan_;
  std::vector<float> weight_;
  std::vector<std::int32_t> index_, base_, lane_;
};

}  // namespace layer_fast::impl
