// Rows along x of a volume combined over z and y, for one worker. Rows combined over z are kept for the next output
// row; how many does not change a value.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/resample_rows.hpp"
#include "ops/axis_taps.hpp"

namespace layer_fast::impl {

// The kernels for rows of `dtype` (u8, i16, u16 or f32).
const kernels::RowKernels& row_kernels(Dtype dtype);

class SeparableRows {
 public:
  // volume: (z, ny, nx) of `dtype`.
  SeparableRows(const void* volume, Dtype dtype, std::int64_t ny, std::int64_t nx, const AxisTaps& taps_z,
                const AxisTaps& taps_y);

  void begin(std::int64_t z);

  // The combined row for output y, with kRowSlack floats behind it; valid until the next call.
  const float* row(std::int64_t y) {
    row_to(y, row_.data());
    return row_.data();
  }
  void row_to(std::int64_t y, float* row);

 private:
  const float* over_z(std::int32_t y_in);
  const void* source(std::int32_t z_in, std::int32_t y_in) const { return volume_ + (z_in * ny_ + y_in) * nx_ * item_; }

  const char* volume_;
  std::int64_t item_, ny_, nx_, z_ = 0;
  const AxisTaps& taps_z_;
  const AxisTaps& taps_y_;
  const kernels::RowKernels& kernels_z_;
  const kernels::RowKernels& kernels_y_;
  bool crossed_;  // both axes at once, nothing kept
  std::size_t slots_;
  std::vector<std::int32_t> kept_;
  std::vector<float> planes_, row_;
  std::vector<const void*> z_rows_, y_rows_;
};

// Output rows per tile: the data decides, never the machine.
inline std::int64_t rows_per_tile(std::int64_t ny, std::int64_t nx) {
  const std::int64_t rows = 16384 / (nx < 1 ? 1 : nx);
  return rows < 8 ? 8 : rows > ny ? ny : rows;
}

}  // namespace layer_fast::impl
