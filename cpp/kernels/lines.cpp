#include "kernels/lines.hpp"

#include "kernels/vectors.hpp"
#include "ops/normalize_voxel.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

constexpr std::int64_t kPiece = 512;  // on its way to memory a piece rests in the nearest cache

template <class T, bool kClip>
void plainly(const T* in, std::int64_t n, const Line& line, float* out) {
  const double shift = line.shift, factor = line.factor;
  for (std::int64_t i = 0; i < n; ++i) out[i] = normalize_voxel(in[i], shift, factor, kClip);
}

template <class T, bool kClip>
void run_as(const T* in, std::int64_t n, const Line& line, float* out, bool past_caches) {
  if (!past_caches) return plainly<T, kClip>(in, n, line, out);
  alignas(64) float piece[kPiece];
  std::int64_t i = until_aligned(out, n);
  plainly<T, kClip>(in, i, line, out);
  for (; i + kFull <= n;) {
    const std::int64_t left = (n - i) / kFull * kFull, size = left < kPiece ? left : kPiece;
    plainly<T, kClip>(in + i, size, line, piece);
    for (std::int64_t j = 0; j < size; j += kFull) stream(out + i + j, load_as<Floats>(piece + j));
    i += size;
  }
  plainly<T, kClip>(in + i, n - i, line, out + i);
  done_streaming();
}

template <class T>
void run(const void* untyped, std::int64_t n, const Line& line, float* out, bool past_caches) {
  const T* in = static_cast<const T*>(untyped);
  line.clip ? run_as<T, true>(in, n, line, out, past_caches) : run_as<T, false>(in, n, line, out, past_caches);
}

}  // namespace

const Lines lines{run<std::uint8_t>, run<std::int16_t>, run<std::uint16_t>, run<float>};

}  // namespace layer_fast::kernels::LF_ISA
