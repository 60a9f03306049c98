#include <algorithm>

#include "layer_fast/error.hpp"
#include "ops/normalize_impl.hpp"
#include "ops/normalize_voxel.hpp"
#include "runtime/multi_isa.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "normalize";
constexpr std::int64_t kChunk = 1 << 16;

struct Line {
  double shift, factor;
  bool clip;
};

// One loop per dtype: a template cannot be compiled for several instruction sets.
LF_MULTI_ISA void run_f32(const float* in, std::int64_t n, Line line, float* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = normalize_voxel(in[i], line.shift, line.factor, line.clip);
}

LF_MULTI_ISA void run_i16(const std::int16_t* in, std::int64_t n, Line line, float* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = normalize_voxel(in[i], line.shift, line.factor, line.clip);
}

LF_MULTI_ISA void run_u16(const std::uint16_t* in, std::int64_t n, Line line, float* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = normalize_voxel(in[i], line.shift, line.factor, line.clip);
}

LF_MULTI_ISA void run_u8(const std::uint8_t* in, std::int64_t n, Line line, float* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = normalize_voxel(in[i], line.shift, line.factor, line.clip);
}

}  // namespace

void normalize_cpu(const ArrayView& volume, const ArrayView& out, double shift, double scale, bool clip, int threads) {
  auto* to = out.out<float>(kOp);
  const std::int64_t voxels = volume.size();
  const Line line{shift, 1.0 / scale, clip};
  parallel_for((voxels + kChunk - 1) / kChunk, resolve_threads(threads), [&](std::int64_t chunk, int) {
    const std::int64_t start = chunk * kChunk, n = std::min(kChunk, voxels - start);
    switch (volume.dtype) {
      case Dtype::u8: return run_u8(volume.in<std::uint8_t>(kOp) + start, n, line, to + start);
      case Dtype::i16: return run_i16(volume.in<std::int16_t>(kOp) + start, n, line, to + start);
      case Dtype::u16: return run_u16(volume.in<std::uint16_t>(kOp) + start, n, line, to + start);
      case Dtype::f32: return run_f32(volume.in<float>(kOp) + start, n, line, to + start);
      default: refuse(kOp, "uint8, int16, uint16 or float32", dtype_name(volume.dtype));
    }
  });
}

}  // namespace layer_fast::impl
