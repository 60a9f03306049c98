// The rows of one worker of argmax_resample on an axis-aligned grid. See Note [Voxels that are decided early] in
// cpp/README.md.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "kernels/argmax_rows.hpp"
#include "ops/axis_taps.hpp"
#include "ops/separable_rows.hpp"
#include "ops/x_plan.hpp"

namespace layer_fast::impl {

// What all workers share.
class ArgmaxGrid {
 public:
  ArgmaxGrid(const float* logits, const ArrayView& view, const ArrayView& out, const GridAxes& axes);
  ArgmaxGrid(const ArgmaxGrid&) = delete;
  ArgmaxGrid& operator=(const ArgmaxGrid&) = delete;

  // Whether looking for decided voxels of the logits' grid is likely to spare more than it costs.
  bool early() const { return early_; }
  std::int64_t planes_per_tile() const;

 private:
  friend class ArgmaxWorker;
  void find_cells(const AxisTaps& tx);

  const float* logits_;
  std::int64_t nz_, ny_, nx_, out_ny_, out_nx_;
  int classes_;
  AxisTaps tz_, ty_;
  XPass along_x_;
  // The lower tap of each output along x, by groups of kArgmaxGroup; and each group's first and last tap.
  std::vector<std::int32_t> base_, first_, last_;
  std::vector<std::uint8_t> lane_;
  bool early_;
};

class ArgmaxWorker {
 public:
  explicit ArgmaxWorker(const ArgmaxGrid& grid);

  // Labels of output plane z. Planes of logits that were looked at are marked in `seen`.
  void plane(std::int64_t z, std::uint8_t* labels, std::vector<std::atomic<bool>>& seen);
  bool finite() const { return finite_; }

 private:
  // Labels of the voxels of plane z_in on the logits' grid, or kOpen.
  const std::uint8_t* decided(std::int64_t z_in, std::vector<std::atomic<bool>>& seen);
  // Finds the open groups of row y; writes the labels of the others.
  void spread_row(std::int64_t y, const std::uint8_t* low_plane, const std::uint8_t* high_plane, std::uint8_t* labels);
  void interpolate(std::int64_t y, std::uint8_t* labels);
  // Rows of all classes between the taps of `count` open groups; false where only whole rows can be had.
  bool cross_open_runs(std::int64_t y);

  const ArgmaxGrid& grid_;
  const kernels::ArgmaxRows& kernels_;
  std::vector<SeparableRows> classes_;
  std::vector<float> rows_;
  std::array<std::vector<std::uint8_t>, 2> planes_;
  std::array<std::int64_t, 2> kept_{-1, -1};  // which plane of logits each holds
  std::vector<std::uint8_t> cells_, pattern_;
  std::array<std::int32_t, 2> pattern_y_{-1, -1};  // the rows of logits that `pattern_` was made from
  std::vector<std::int32_t> open_;
  std::int64_t z_ = 0;
  std::int64_t open_count_ = 0;
  bool finite_ = true;
};

}  // namespace layer_fast::impl
