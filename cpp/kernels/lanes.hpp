// A register of floats for the loops that the compiler does not vectorise by itself. Only kernels include this.
// larger(a, b) is a > b ? a : b and smaller(a, b) is a < b ? a : b: a NaN as `b` stays.
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
constexpr bool kHalves = false;
constexpr __mmask16 kAll = 0xffff;
using Floats = __m512;
inline Floats load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, Floats v) { _mm512_storeu_ps(p, v); }
inline Floats fill(float v) { return _mm512_set1_ps(v); }
inline Floats to_floats(__m512i v) { return _mm512_maskz_cvtepi32_ps(kAll, v); }
inline Floats load(const std::uint8_t* p) {
  return to_floats(_mm512_maskz_cvtepu8_epi32(kAll, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline Floats load(const std::int16_t* p) {
  return to_floats(_mm512_maskz_cvtepi16_epi32(kAll, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
}
inline Floats load(const std::uint16_t* p) {
  return to_floats(_mm512_maskz_cvtepu16_epi32(kAll, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
}
using Ints = __m512i;
inline Ints fill_int(std::int32_t v) { return _mm512_set1_epi32(v); }
inline void store(std::int32_t* p, Ints v) { _mm512_storeu_si512(p, v); }
inline Ints to_ints(Floats v) { return _mm512_maskz_cvttps_epi32(kAll, v); }
inline Ints magnitude_bits(Floats v) { return _mm512_and_si512(_mm512_castps_si512(v), fill_int(0x7fffffff)); }
inline Ints larger(Ints a, Ints b) { return _mm512_maskz_max_epi32(kAll, a, b); }
inline Floats larger(Floats a, Floats b) { return _mm512_maskz_max_ps(kAll, a, b); }
inline Floats smaller(Floats a, Floats b) { return _mm512_maskz_min_ps(kAll, a, b); }
inline Ints where_greater(Floats a, Floats b, Ints yes, Ints no) {
  return _mm512_mask_mov_epi32(no, _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), yes);
}
inline Floats as_floats(Ints bits) { return _mm512_castsi512_ps(bits); }
inline void take_larger(Floats v, std::int32_t klass, Floats& best, Ints& label) {
  label = where_greater(v, best, fill_int(klass), label);
  best = larger(v, best);
}
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
constexpr bool kHalves = true;
using Floats = __m256;
inline Floats load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, Floats v) { _mm256_storeu_ps(p, v); }
inline Floats fill(float v) { return _mm256_set1_ps(v); }
inline Floats load(const std::uint8_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
inline Floats load(const std::int16_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline Floats load(const std::uint16_t* p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
using Ints = __m256i;
inline Ints fill_int(std::int32_t v) { return _mm256_set1_epi32(v); }
inline void store(std::int32_t* p, Ints v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
inline Ints to_ints(Floats v) { return _mm256_cvttps_epi32(v); }
inline Ints magnitude_bits(Floats v) { return _mm256_and_si256(_mm256_castps_si256(v), fill_int(0x7fffffff)); }
inline Ints larger(Ints a, Ints b) { return _mm256_max_epi32(a, b); }
inline Floats larger(Floats a, Floats b) { return _mm256_max_ps(a, b); }
inline Floats smaller(Floats a, Floats b) { return _mm256_min_ps(a, b); }
inline Ints where_greater(Floats a, Floats b, Ints yes, Ints no) {
  return _mm256_blendv_epi8(no, yes, _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_GT_OQ)));
}
inline Floats as_floats(Ints bits) { return _mm256_castsi256_ps(bits); }
inline void take_larger(Floats v, std::int32_t klass, Floats& best, Ints& label) {
  label = where_greater(v, best, fill_int(klass), label);
  best = larger(v, best);
}
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
// Four floats after each half's base, to pick from within the half: a fifth of the cost of a pick across halves.
struct Near {
  Floats only;
};
inline Near near(const float* lower, const float* upper) { return {_mm256_loadu2_m128(upper, lower)}; }
inline Floats pick(const Near& from, const std::int32_t* lane) {
  return _mm256_permutevar_ps(from.only, load_index(lane));
}
// Eight: the sign of the lane says which four.
struct Wide {
  Floats first, second;
};
inline Wide wide(const float* lower, const float* upper) {
  const Floats low = load(lower), high = load(upper);
  return {_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31)};
}
inline Floats pick(const Wide& from, const std::int32_t* lane) {
  const __m256i at = load_index(lane);
  return _mm256_blendv_ps(_mm256_permutevar_ps(from.first, at), _mm256_permutevar_ps(from.second, at),
                          _mm256_castsi256_ps(at));
}

#else

constexpr int kLanes = 1;
constexpr bool kHalves = false;
using Floats = float;
template <class T>
inline Floats load(const T* p) {
  return static_cast<float>(*p);
}
inline Floats fill(float v) { return v; }
using Ints = std::int32_t;
inline Ints fill_int(std::int32_t v) { return v; }
inline void store(std::int32_t* p, Ints v) { *p = v; }
inline Ints to_ints(Floats v) { return static_cast<Ints>(v); }
inline Ints magnitude_bits(Floats v) { return static_cast<Ints>(__builtin_bit_cast(std::uint32_t, v) & 0x7fffffffu); }
inline Ints larger(Ints a, Ints b) { return a > b ? a : b; }
inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }
inline Floats smaller(Floats a, Floats b) { return a < b ? a : b; }
inline Ints where_greater(Floats a, Floats b, Ints yes, Ints no) { return a > b ? yes : no; }
inline Floats as_floats(Ints bits) { return __builtin_bit_cast(float, bits); }
inline void take_larger(Floats v, std::int32_t klass, Floats& best, Ints& label) {
  label = where_greater(v, best, klass, label);
  best = larger(v, best);
}
inline void store(float* p, Floats v) { *p = v; }
inline Floats gather(const float* row, const std::int32_t* index) { return row[*index]; }
inline Floats pick(const float* window, const std::int32_t* lane) { return window[*lane]; }
inline Floats pick(const float* lower, const float*, const std::int32_t* lane) { return lower[*lane]; }

#endif

// body(x) for groups of lanes that cover [0, n): the last one overlaps its neighbour, so body may not read what it
// writes. False where n is below one group, and nothing was done.
template <class Body>
inline bool for_groups(std::int64_t n, Body&& body) {
  if (n < kLanes) return false;
  std::int64_t x = 0;
  for (; x + 2 * kLanes <= n; x += 2 * kLanes) {
    body(x);
    body(x + kLanes);
  }
  if (x + kLanes <= n) body(x);
  if (n % kLanes != 0) body(n - kLanes);
  return true;
}

}  // namespace
}  // namespace layer_fast::kernels::LF_ISA
