#include "ops/separable_rows.hpp"

#include <bit>
#include <cstdint>

namespace layer_fast::impl {

const kernels::RowKernels& row_kernels(Dtype dtype) {
  const kernels::ResampleRows& rows = kernels::resample_rows();
  switch (dtype) {
    case Dtype::u8: return rows.u8;
    case Dtype::i16: return rows.i16;
    case Dtype::u16: return rows.u16;
    default: return rows.f32;
  }
}

namespace {

// Whether so few input rows serve two output rows that keeping them costs more than reading them twice.
bool crosses(const AxisTaps& taps_z, const AxisTaps& taps_y) {
  if (taps_z.width != 2 || taps_y.width != 2) return false;
  std::int64_t rows = 0;
  for (std::int64_t y = 0; y < taps_y.size(); ++y) {
    const bool shared = y > 0 && taps_y.indices(y)[0] <= taps_y.indices(y - 1)[1];
    rows += shared ? 1 : 2;
  }
  return 10 * rows >= 14 * taps_y.size();
}

constexpr std::int64_t kAhead = 4;  // rows

// The lines of the row that will be needed soon; past the end of the volume nothing happens. Rows of several planes in turn
// are more than the hardware's own guess follows.
void ask_ahead(const void* row, std::int64_t bytes) {
  const auto next = reinterpret_cast<std::intptr_t>(row) + kAhead * bytes;
  for (std::int64_t b = 0; b < bytes; b += 64) __builtin_prefetch(reinterpret_cast<const void*>(next + b));
}

}  // namespace

SeparableRows::SeparableRows(const void* volume, Dtype dtype, std::int64_t ny, std::int64_t nx, const AxisTaps& taps_z,
                             const AxisTaps& taps_y)
    : volume_(static_cast<const char*>(volume)), item_(static_cast<std::int64_t>(dtype_size(dtype))), ny_(ny), nx_(nx),
      taps_z_(taps_z), taps_y_(taps_y), kernels_z_(row_kernels(dtype)), kernels_y_(row_kernels(Dtype::f32)),
      crossed_(crosses(taps_z, taps_y)),
      slots_(std::bit_ceil(static_cast<std::uint32_t>(taps_y.span))), kept_(slots_, -1),
      planes_(slots_ * static_cast<std::size_t>(nx)), row_(static_cast<std::size_t>(nx + kernels::kRowSlack)),
      z_rows_(static_cast<std::size_t>(taps_z.width)), y_rows_(static_cast<std::size_t>(taps_y.width)) {}

void SeparableRows::begin(std::int64_t z) {
  z_ = z;
  kept_.assign(slots_, -1);
}

void SeparableRows::row_to(std::int64_t y, float* row) {
  const std::int32_t* index = taps_y_.indices(y);
  if (crossed_) {
    const std::int32_t* z = taps_z_.indices(z_);
    const void* rows[] = {source(z[0], index[0]), source(z[1], index[0]), source(z[0], index[1]),
                          source(z[1], index[1])};
    kernels_z_.cross(rows, taps_z_.weights(z_), taps_y_.weights(y), nx_, 2 * nx_, row);
    return;
  }
  for (int t = 0; t < taps_y_.width; ++t) y_rows_[static_cast<std::size_t>(t)] = over_z(index[t]);
  kernels_y_.combine(y_rows_.data(), taps_y_.weights(y), taps_y_.width, nx_, row);
}

// There are as many slots as a row's taps span, so the taps of one output row never fight for one.
const float* SeparableRows::over_z(std::int32_t y_in) {
  const std::size_t slot = static_cast<std::size_t>(y_in) & (slots_ - 1);
  float* kept = planes_.data() + slot * static_cast<std::size_t>(nx_);
  if (kept_[slot] == y_in) return kept;
  kept_[slot] = y_in;
  const std::int32_t* index = taps_z_.indices(z_);
  // A plane that the output before has read too is in the cache, unless there are many.
  const bool few = taps_z_.width == 2 && z_ > 0;
  const std::int32_t known = few ? taps_z_.indices(z_ - 1)[1] : -1;
  for (int t = 0; t < taps_z_.width; ++t) {
    z_rows_[static_cast<std::size_t>(t)] = source(index[t], y_in);
    if (index[t] > known) ask_ahead(source(index[t], y_in), nx_ * item_);
  }
  kernels_z_.combine(z_rows_.data(), taps_z_.weights(z_), taps_z_.width, nx_, kept);
  return kept;
}

}  // namespace layer_fast::impl
