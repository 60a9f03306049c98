// Rows along x of a volume combined over z and y, for one worker. Rows combined over z are kept for the next output
// row; how many does not change a value.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "ops/axis_taps.hpp"

namespace layer_fast::impl {

// out[x] = sum over taps of weight * row[x], in tap order.
template <class T>
void combine(const T* const* rows, const float* weight, int width, std::int64_t n, float* out) {
  if (width == 1) {
    const float w0 = weight[0];
    const T* r0 = rows[0];
    for (std::int64_t x = 0; x < n; ++x) out[x] = w0 * static_cast<float>(r0[x]);
    return;
  }
  const float w0 = weight[0], w1 = weight[1];
  const T *r0 = rows[0], *r1 = rows[1];
  if (width == 4) {
    const float w2 = weight[2], w3 = weight[3];
    const T *r2 = rows[2], *r3 = rows[3];
    for (std::int64_t x = 0; x < n; ++x) {
      out[x] = ((w0 * static_cast<float>(r0[x]) + w1 * static_cast<float>(r1[x])) + w2 * static_cast<float>(r2[x])) +
               w3 * static_cast<float>(r3[x]);
    }
    return;
  }
  for (std::int64_t x = 0; x < n; ++x) out[x] = w0 * static_cast<float>(r0[x]) + w1 * static_cast<float>(r1[x]);
  for (int t = 2; t < width; ++t) {
    const float w = weight[t];
    const T* row = rows[t];
    for (std::int64_t x = 0; x < n; ++x) out[x] += w * static_cast<float>(row[x]);
  }
}

template <class T>
class SeparableRows {
 public:
  SeparableRows(const T* volume, std::int64_t ny, std::int64_t nx, const AxisTaps& taps_z, const AxisTaps& taps_y)
      : volume_(volume), ny_(ny), nx_(nx), taps_z_(taps_z), taps_y_(taps_y),
        slots_(std::bit_ceil(static_cast<std::uint32_t>(taps_y.span))),
        kept_(slots_, -1), planes_(slots_ * static_cast<std::size_t>(nx)), row_(static_cast<std::size_t>(nx)),
        z_rows_(static_cast<std::size_t>(taps_z.width)), y_rows_(static_cast<std::size_t>(taps_y.width)) {}

  void begin(std::int64_t z) {
    z_ = z;
    kept_.assign(slots_, -1);
  }

  // The combined row for output y; valid until the next call.
  const float* row(std::int64_t y) {
    const std::int32_t* index = taps_y_.indices(y);
    for (int t = 0; t < taps_y_.width; ++t) y_rows_[static_cast<std::size_t>(t)] = over_z(index[t]);
    combine(y_rows_.data(), taps_y_.weights(y), taps_y_.width, nx_, row_.data());
    return row_.data();
  }

 private:
  // There are as many slots as a row's taps span, so the taps of one output row never fight for one.
  const float* over_z(std::int32_t y_in) {
    const std::size_t slot = static_cast<std::size_t>(y_in) & (slots_ - 1);
    float* kept = planes_.data() + slot * static_cast<std::size_t>(nx_);
    if (kept_[slot] == y_in) return kept;
    kept_[slot] = y_in;
    const std::int32_t* index = taps_z_.indices(z_);
    for (int t = 0; t < taps_z_.width; ++t) {
      z_rows_[static_cast<std::size_t>(t)] = volume_ + (index[t] * ny_ + y_in) * nx_;
    }
    combine(z_rows_.data(), taps_z_.weights(z_), taps_z_.width, nx_, kept);
    return kept;
  }

  const T* volume_;
  std::int64_t ny_, nx_, z_ = 0;
  const AxisTaps& taps_z_;
  const AxisTaps& taps_y_;
  std::size_t slots_;
  std::vector<std::int32_t> kept_;
  std::vector<float> planes_, row_;
  std::vector<const T*> z_rows_;
  std::vector<const float*> y_rows_;
};

// out[x] = sum over taps of weight * row[index], in tap order; `taps` is tap-major.
void along_x(const AxisTaps& taps, const float* row, float* out);

// Output rows per tile: the data decides, never the machine.
inline std::int64_t rows_per_tile(std::int64_t ny, std::int64_t nx) {
  const std::int64_t rows = 16384 / (nx < 1 ? 1 : nx);
  return rows < 8 ? 8 : rows > ny ? ny : rows;
}

}  // namespace layer_fast::impl
