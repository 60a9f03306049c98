// A register of floats for the loops that the compiler does not vectorise by itself. Only kernels include this.
#pragma once

#include <cstdint>

#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

namespace layer_fast::kernels::LF_ISA {
namespace {

#if defined(__AVX512F__)

// Masked forms with every lane on: GCC 12 warns of its own header where a plain form leaves the old value undefined.
constexpr int kLanes = 16;
constexpr __mmask16 kAll = 0xffff;
using Floats = __m512;
inline Floats load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Floats v) { _mm512_storeu_ps(p, v); }
inline __m512i load_index(const std::int32_t* p) { return _mm512_loadu_si512(p); }
inline Floats gather(const float* row, const std::int32_t* index) {
  return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), kAll, load_index(index), row, 4);
}
// Lane i is window[lane[i]].
inline Floats pick(const float* window, const std::int32_t* lane) {
  return _mm512_maskz_permutexvar_ps(kAll, load_index(lane), load(window));
}
// The same, the lower half of the lanes from the one window and the upper half from the other.
inline Floats pick(const float* lower, const float* upper, const std::int32_t* lane) {
  const __m512i at = load_index(lane);
  return _mm512_mask_permutexvar_ps(_mm512_maskz_permutexvar_ps(kAll, at, load(lower)), 0xff00, at, load(upper));
}

#elif defined(__AVX2__)

constexpr int kLanes = 8;
using Floats = __m256;
inline Floats load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, Floats v) { _mm256_storeu_ps(p, v); }
inline __m256i load_index(const std::int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
inline Floats gather(const float* row, const std::int32_t* index) {
  return _mm256_i32gather_ps(row, load_index(index), 4);
}
inline Floats pick(const float* window, const std::int32_t* lane) {
  return _mm256_permutevar8x32_ps(load(window), load_index(lane));
}
inline Floats pick(const float* lower, const float* upper, const std::int32_t* lane) {
  const __m256i at = load_index(lane);
  return _mm256_blend_ps(_mm256_permutevar8x32_ps(load(lower), at), _mm256_permutevar8x32_ps(load(upper), at), 0xf0);
}

#else

constexpr int kLanes = 1;
using Floats = float;
inline Floats load(const float* p) { return *p; }
inline void store(float* p, Floats v) { *p = v; }
inline Floats gather(const float* row, const std::int32_t* index) { return row[*index]; }
inline Floats pick(const float* window, const std::int32_t* lane) { return window[*lane]; }
inline Floats pick(const float* lower, const float*, const std::int32_t* lane) { return lower[*lane]; }

#endif

}  // namespace
}  // namespace layer_fast::kernels::LF_ISA
