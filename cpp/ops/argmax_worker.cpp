#include "ops/argmax_worker.hpp"

#include <algorithm>
#include <numeric>

namespace layer_fast::impl {

using kernels::kArgmaxGroup;

ArgmaxGrid::ArgmaxGrid(const float* logits, const ArrayView& view, const ArrayView& out, const GridAxes& axes)
    : logits_(logits), nz_(view.shape[1]), ny_(view.shape[2]), nx_(view.shape[3]), out_ny_(out.shape[1]),
      out_nx_(out.shape[2]), classes_(static_cast<int>(view.shape[0])),
      tz_(interpolation_taps(axes.z, Interpolation::linear, false)),
      ty_(interpolation_taps(axes.y, Interpolation::linear, false)),
      along_x_(interpolation_taps(axes.x, Interpolation::linear, false)),
      early_(out.size() >= 2 * nz_ * ny_ * nx_) {
  find_cells(interpolation_taps(axes.x, Interpolation::linear, false));
}

void ArgmaxGrid::find_cells(const AxisTaps& tx) {
  for (std::int64_t x0 = 0; x0 < out_nx_; x0 += kArgmaxGroup) {
    const std::int64_t x1 = std::min(x0 + kArgmaxGroup, out_nx_);
    std::int32_t low = tx.indices(x0)[0], lower_end = low, high = low;
    for (std::int64_t x = x0; x < x1; ++x) {
      low = std::min(low, tx.indices(x)[0]);
      lower_end = std::max(lower_end, tx.indices(x)[0]);
      high = std::max(high, tx.indices(x)[tx.width - 1]);
    }
    early_ = early_ && lower_end - low < 16;
    base_.push_back(low);
    first_.push_back(low);
    last_.push_back(high);
    for (std::int64_t x = x0; x < x0 + kArgmaxGroup; ++x) {
      lane_.push_back(static_cast<std::uint8_t>((tx.indices(std::min(x, x1 - 1))[0] - low) & 15));
    }
  }
}

// Output planes that share planes of logits, several of them: those are looked at once a tile.
std::int64_t ArgmaxGrid::planes_per_tile() const {
  const std::int64_t cells = std::clamp<std::int64_t>(nz_ / 32, 1, 4);
  return early_ ? std::max<std::int64_t>(cells * tz_.size() / nz_, 1) : 1;
}

ArgmaxWorker::ArgmaxWorker(const ArgmaxGrid& grid)
    : grid_(grid), kernels_(kernels::argmax_rows()),
      rows_(static_cast<std::size_t>(grid.classes_ * (grid.nx_ + kernels::kRowSlack))),
      cells_(static_cast<std::size_t>(grid.nx_ + 16)), pattern_(grid.lane_.size()), open_(grid.base_.size() + 1) {
  const std::int64_t volume = grid.nz_ * grid.ny_ * grid.nx_;
  for (int k = 0; k < grid.classes_; ++k) {
    classes_.emplace_back(grid.logits_ + k * volume, Dtype::f32, grid.ny_, grid.nx_, grid.tz_, grid.ty_);
  }
  if (grid.early_) {
    for (auto& plane : planes_) plane.resize(static_cast<std::size_t>(grid.ny_ * grid.nx_));
    return;
  }
  std::iota(open_.begin(), open_.end(), 0);  // every group of every row
  open_count_ = static_cast<std::int64_t>(grid.base_.size());
}

void ArgmaxWorker::plane(std::int64_t z, std::uint8_t* labels, std::vector<std::atomic<bool>>& seen) {
  z_ = z;
  for (SeparableRows& rows : classes_) rows.begin(z);
  const std::uint8_t *low = nullptr, *high = nullptr;
  if (grid_.early_) {
    low = decided(grid_.tz_.indices(z)[0], seen);
    high = decided(grid_.tz_.indices(z)[grid_.tz_.width - 1], seen);
    pattern_y_ = {-1, -1};
  }
  for (std::int64_t y = 0; y < grid_.out_ny_; ++y, labels += grid_.out_nx_) {
    if (grid_.early_) spread_row(y, low, high, labels);
    if (open_count_ > 0) interpolate(y, labels);
  }
}

// Neighbouring planes differ in parity, so the two that an output plane needs never fight for one place.
const std::uint8_t* ArgmaxWorker::decided(std::int64_t z_in, std::vector<std::atomic<bool>>& seen) {
  const auto slot = static_cast<std::size_t>(z_in % 2);
  std::uint8_t* labels = planes_[slot].data();
  if (kept_[slot] == z_in) return labels;
  kept_[slot] = z_in;
  const std::int64_t plane = grid_.ny_ * grid_.nx_;
  finite_ &= kernels_.decide(grid_.logits_ + z_in * plane, grid_.nz_ * plane, grid_.classes_, plane, labels);
  seen[static_cast<std::size_t>(z_in)].store(true, std::memory_order_relaxed);
  return labels;
}

void ArgmaxWorker::spread_row(std::int64_t y, const std::uint8_t* low_plane, const std::uint8_t* high_plane,
                              std::uint8_t* labels) {
  const std::int32_t* index = grid_.ty_.indices(y);
  const std::array<std::int32_t, 2> wanted{index[0], index[grid_.ty_.width - 1]};
  if (wanted != pattern_y_) {
    pattern_y_ = wanted;
    const std::int64_t first = wanted[0] * grid_.nx_, second = wanted[1] * grid_.nx_;
    const std::uint8_t* const rows[4] = {low_plane + first, low_plane + second, high_plane + first,
                                         high_plane + second};
    kernels_.agree(rows, grid_.nx_, cells_.data());
    open_count_ = kernels_.spread(cells_.data(), grid_.base_.data(), grid_.lane_.data(),
                                  static_cast<std::int64_t>(grid_.base_.size()), pattern_.data(), open_.data());
  }
  std::copy_n(pattern_.begin(), grid_.out_nx_, labels);
}

void ArgmaxWorker::interpolate(std::int64_t y, std::uint8_t* labels) {
  const std::int64_t stride = grid_.nx_ + kernels::kRowSlack;
  if (!cross_open_runs(y)) {
    float* row = rows_.data();
    for (SeparableRows& rows : classes_) {
      rows.row_to(y, row);
      row += stride;
    }
  }
  kernels_.largest(grid_.along_x_.plan(), rows_.data(), stride, grid_.classes_, open_.data(), open_count_, labels);
}

bool ArgmaxWorker::cross_open_runs(std::int64_t y) {
  const AxisTaps &tz = grid_.tz_, &ty = grid_.ty_;
  if (tz.width != 2 || ty.width != 2 || 2 * open_count_ > static_cast<std::int64_t>(grid_.base_.size())) return false;
  const std::int64_t plane = grid_.ny_ * grid_.nx_, volume = grid_.nz_ * plane;
  const std::int64_t corner[4] = {tz.indices(z_)[0] * plane + ty.indices(y)[0] * grid_.nx_,
                                  tz.indices(z_)[1] * plane + ty.indices(y)[0] * grid_.nx_,
                                  tz.indices(z_)[0] * plane + ty.indices(y)[1] * grid_.nx_,
                                  tz.indices(z_)[1] * plane + ty.indices(y)[1] * grid_.nx_};
  const kernels::RowKernels& kernel = row_kernels(Dtype::f32);
  for (std::int64_t i = 0; i < open_count_; ++i) {
    auto group = static_cast<std::size_t>(open_[static_cast<std::size_t>(i)]);
    std::int64_t from = grid_.first_[group], to = grid_.last_[group] + 1;
    from = std::max<std::int64_t>(std::min(from, to - kernels::kRowSlack), 0);  // whole groups of lanes where possible
    for (int k = 0; k < grid_.classes_; ++k) {
      const float* logits = grid_.logits_ + k * volume + from;
      const void* rows[4] = {logits + corner[0], logits + corner[1], logits + corner[2], logits + corner[3]};
      kernel.cross(rows, tz.weights(z_), ty.weights(y), to - from, 0,
                   rows_.data() + k * (grid_.nx_ + kernels::kRowSlack) + from);
    }
  }
  return true;
}

}  // namespace layer_fast::impl
