#include "kernels/lines.hpp"

#include "kernels/vectors.hpp"
#include "ops/normalize_voxel.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

// kWide voxels; the same as normalize_voxel, NaN included.
template <class T, bool kClip>
Doubles scaled(const T* in, const Line& line) {
  const Doubles zero = {}, value = (widen(in) - line.shift) * line.factor;
  return kClip ? min_of(zero + 1.0, max_of(zero, value)) : value;
}

template <class T, bool kClip>
void one_by_one(const T* in, std::int64_t n, const Line& line, float* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = normalize_voxel(in[i], line.shift, line.factor, kClip);
}

template <class T, bool kClip>
void run_as(const T* in, std::int64_t n, const Line& given, float* out, bool past_caches) {
  const Line line = given;
  std::int64_t i = until_aligned(out, n);
  one_by_one<T, kClip>(in, i, line, out);
  for (; i + kFull <= n; i += kFull) {
    const Floats value = narrow(scaled<T, kClip>(in + i, line), scaled<T, kClip>(in + i + kWide, line));
    past_caches ? stream(out + i, value) : store_as(out + i, value);
  }
  one_by_one<T, kClip>(in + i, n - i, line, out + i);
  if (past_caches) done_streaming();
}

template <class T>
void run(const void* untyped, std::int64_t n, const Line& line, float* out, bool past_caches) {
  const T* in = static_cast<const T*>(untyped);
  line.clip ? run_as<T, true>(in, n, line, out, past_caches) : run_as<T, false>(in, n, line, out, past_caches);
}

}  // namespace

const Lines lines{run<std::uint8_t>, run<std::int16_t>, run<std::uint16_t>, run<float>};

}  // namespace layer_fast::kernels::LF_ISA
