#include <algorithm>

#include "kernels/lines.hpp"
#include "layer_fast/error.hpp"
#include "ops/normalize_impl.hpp"
#include "runtime/cache.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "normalize";
constexpr std::int64_t kChunk = 1 << 16;

kernels::Lines::Run run_for(Dtype dtype) {
  switch (dtype) {
    case Dtype::u8: return kernels::lines().u8;
    case Dtype::i16: return kernels::lines().i16;
    case Dtype::u16: return kernels::lines().u16;
    case Dtype::f32: return kernels::lines().f32;
    default: refuse(kOp, "uint8, int16, uint16 or float32", dtype_name(dtype));
  }
}

}  // namespace

void normalize_cpu(const ArrayView& volume, const ArrayView& out, double shift, double scale, bool clip, int threads) {
  auto* to = out.out<float>(kOp);
  const std::int64_t voxels = volume.size();
  kernels::Line line{shift, 1.0 / scale, clip};
  if (volume.dtype == Dtype::u8) kernels::lines().split(line);
  const kernels::Lines::Run run = run_for(volume.dtype);
  const auto* from = static_cast<const char*>(volume.data);
  const auto size = static_cast<std::int64_t>(dtype_size(volume.dtype));
  // In place every line is in the cache already when it is written.
  const bool large = voxels * static_cast<std::int64_t>(sizeof(float)) >= last_level_cache_bytes() / 2;
  const bool past_caches = large && volume.data != out.data;
  const std::int64_t chunks = (voxels + kChunk - 1) / kChunk;
  // From the end on: what the statistics read last is still in a cache.
  parallel_for(chunks, resolve_threads(threads), [&](std::int64_t turn, int) {
    const std::int64_t start = (chunks - 1 - turn) * kChunk, n = std::min(kChunk, voxels - start);
    run(from + start * size, n, line, to + start, past_caches);
  });
}

}  // namespace layer_fast::impl
