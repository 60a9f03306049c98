// Rows of float32 results into an output of another dtype, or through a window.
#pragma once

#include <cstdint>

#include "kernels/resample_rows.hpp"
#include "layer_fast/resample.hpp"

namespace layer_fast::impl {

// A float32 row into the output's dtype, and where the x pass may write it.
class FloatWriter {
 public:
  FloatWriter(const ArrayView& out, const ResampleOptions& options)
      : dtype_(out.dtype), item_(static_cast<std::int64_t>(dtype_size(out.dtype))), options_(options),
        data_(out.dtype == Dtype::f32 ? reinterpret_cast<char*>(out.out<float>("resample")) : writable_bytes(out)) {}

  char* at(std::int64_t voxel) const { return data_ + voxel * item_; }
  // Where row `voxel` is to be computed: in place for float32, else in `line`.
  float* target(std::int64_t voxel, float* line) const {
    return dtype_ == Dtype::f32 ? reinterpret_cast<float*>(at(voxel)) : line;
  }
  void finish(float* row, std::int64_t n, std::int64_t voxel) const {
    switch (dtype_) {
      case Dtype::u8: return rows_.to_u8(row, n, at(voxel));
      case Dtype::i16: return rows_.to_i16(row, n, at(voxel));
      case Dtype::u16: return rows_.to_u16(row, n, at(voxel));
      default: break;
    }
    if (options_.has_window) rows_.window(row, n, options_.lo, options_.hi);
  }

 private:
  static char* writable_bytes(const ArrayView& out) {
    switch (out.dtype) {
      case Dtype::u8: return reinterpret_cast<char*>(out.out<std::uint8_t>("resample"));
      case Dtype::i16: return reinterpret_cast<char*>(out.out<std::int16_t>("resample"));
      default: return reinterpret_cast<char*>(out.out<std::uint16_t>("resample"));
    }
  }

  const kernels::ResampleRows& rows_ = kernels::resample_rows();
  Dtype dtype_;
  std::int64_t item_;
  const ResampleOptions& options_;
  char* data_;
};

}  // namespace layer_fast::impl
