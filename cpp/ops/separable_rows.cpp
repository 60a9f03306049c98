#include "ops/separable_rows.hpp"

#include <bit>

namespace layer_fast::impl {

kernels::ResampleRows::Combine combine_of(Dtype dtype) {
  const kernels::ResampleRows& rows = kernels::resample_rows();
  switch (dtype) {
    case Dtype::u8: return rows.combine_u8;
    case Dtype::i16: return rows.combine_i16;
    case Dtype::u16: return rows.combine_u16;
    default: return rows.combine_f32;
  }
}

SeparableRows::SeparableRows(const void* volume, Dtype dtype, std::int64_t ny, std::int64_t nx, const AxisTaps& taps_z,
                             const AxisTaps& taps_y)
    : volume_(static_cast<const char*>(volume)), item_(static_cast<std::int64_t>(dtype_size(dtype))), ny_(ny), nx_(nx),
      taps_z_(taps_z), taps_y_(taps_y), combine_z_(combine_of(dtype)), combine_y_(combine_of(Dtype::f32)),
      slots_(std::bit_ceil(static_cast<std::uint32_t>(taps_y.span))), kept_(slots_, -1),
      planes_(slots_ * static_cast<std::size_t>(nx)), row_(static_cast<std::size_t>(nx + kernels::kRowSlack)),
      z_rows_(static_cast<std::size_t>(taps_z.width)), y_rows_(static_cast<std::size_t>(taps_y.width)) {}

void SeparableRows::begin(std::int64_t z) {
  z_ = z;
  kept_.assign(slots_, -1);
}

const float* SeparableRows::row(std::int64_t y) {
  const std::int32_t* index = taps_y_.indices(y);
  for (int t = 0; t < taps_y_.width; ++t) y_rows_[static_cast<std::size_t>(t)] = over_z(index[t]);
  combine_y_(y_rows_.data(), taps_y_.weights(y), taps_y_.width, nx_, row_.data());
  return row_.data();
}

// There are as many slots as a row's taps span, so the taps of one output row never fight for one.
const float* SeparableRows::over_z(std::int32_t y_in) {
  const std::size_t slot = static_cast<std::size_t>(y_in) & (slots_ - 1);
  float* kept = planes_.data() + slot * static_cast<std::size_t>(nx_);
  if (kept_[slot] == y_in) return kept;
  kept_[slot] = y_in;
  const std::int32_t* index = taps_z_.indices(z_);
  for (int t = 0; t < taps_z_.width; ++t) {
    z_rows_[static_cast<std::size_t>(t)] = volume_ + (index[t] * ny_ + y_in) * nx_ * item_;
  }
  combine_z_(z_rows_.data(), taps_z_.weights(z_), taps_z_.width, nx_, kept);
  return kept;
}

}  // namespace layer_fast::impl
