// Vectors as wide as the instruction set, where the compiler does not find the instruction by itself. Only kernels
// include this. Every function has the same meaning, bit for bit, in all its forms.
#pragma once

#include <cstdint>

#if defined(__SSE4_2__)
#include <immintrin.h>
#endif

namespace layer_fast::kernels::LF_ISA {
namespace {

constexpr int kVectorBytes = __BIGGEST_ALIGNMENT__ < 16 ? 16 : __BIGGEST_ALIGNMENT__;  // 16, 32 or 64

// kWide doubles, as many floats (in half the bytes), and a whole vector of kFull floats.
constexpr int kWide = kVectorBytes / 8;
constexpr int kFull = kVectorBytes / 4;
typedef double Doubles __attribute__((vector_size(kVectorBytes)));
typedef float HalfFloats __attribute__((vector_size(kVectorBytes / 2)));
typedef float Floats __attribute__((vector_size(kVectorBytes)));
typedef std::int64_t Longs __attribute__((vector_size(kVectorBytes)));
typedef std::uint32_t Words __attribute__((vector_size(kVectorBytes)));

// Unaligned.
template <class V>
inline V load_as(const void* from) {
  V out;
  __builtin_memcpy(&out, from, sizeof(V));
  return out;
}

template <class V>
inline void store_as(void* to, V value) {
  __builtin_memcpy(to, &value, sizeof(V));
}

// Past the caches, for results that are larger than these; `to` is aligned to kVectorBytes. done_streaming makes them seen.
#if defined(__AVX512F__)
inline void stream(float* to, Floats value) { _mm512_stream_ps(to, value); }
inline void done_streaming() { _mm_sfence(); }
#elif defined(__AVX2__)
inline void stream(float* to, Floats value) { _mm256_stream_ps(to, value); }
inline void done_streaming() { _mm_sfence(); }
#elif defined(__SSE4_2__)
inline void stream(float* to, Floats value) { _mm_stream_ps(to, value); }
inline void done_streaming() { _mm_sfence(); }
#else
inline void stream(float* to, Floats value) { store_as(to, value); }
inline void done_streaming() {}
#endif

// How many of n floats lie before the first aligned one.
inline std::int64_t until_aligned(const float* to, std::int64_t n) {
  const auto past = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(to) % kVectorBytes / sizeof(float));
  const std::int64_t head = past == 0 ? 0 : kFull - past;
  return head < n ? head : n;
}

// kWide numbers as doubles, and two vectors of doubles rounded to floats.
#if defined(__AVX512F__)
inline Doubles widen(const float* from) { return _mm512_maskz_cvtps_pd(0xff, load_as<__m256>(from)); }
inline Doubles widen(__m256i whole) { return _mm512_maskz_cvtepi32_pd(0xff, whole); }
inline Doubles widen(const std::uint8_t* from) {
  return widen(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(load_as<std::int64_t>(from))));
}
inline Doubles widen(const std::int16_t* from) { return widen(_mm256_cvtepi16_epi32(load_as<__m128i>(from))); }
inline Doubles widen(const std::uint16_t* from) { return widen(_mm256_cvtepu16_epi32(load_as<__m128i>(from))); }
inline Floats narrow(Doubles a, Doubles b) {
  const __m512 low = _mm512_castps256_ps512(_mm512_maskz_cvtpd_ps(0xff, a));
  return _mm512_maskz_insertf32x8(0xffff, low, _mm512_maskz_cvtpd_ps(0xff, b), 1);
}
#elif defined(__AVX2__)
inline Doubles widen(const float* from) { return _mm256_cvtps_pd(load_as<__m128>(from)); }
inline Doubles widen(const std::uint8_t* from) {
  return _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(load_as<std::int32_t>(from))));
}
inline __m128i four_words(const void* from) { return _mm_loadl_epi64(static_cast<const __m128i*>(from)); }
inline Doubles widen(const std::int16_t* from) { return _mm256_cvtepi32_pd(_mm_cvtepi16_epi32(four_words(from))); }
inline Doubles widen(const std::uint16_t* from) { return _mm256_cvtepi32_pd(_mm_cvtepu16_epi32(four_words(from))); }
inline Floats narrow(Doubles a, Doubles b) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(a)), _mm256_cvtpd_ps(b), 1);
}
#else
template <class T>
inline Doubles widen(const T* from) {
  Doubles out;
  for (int j = 0; j < kWide; ++j) out[j] = from[j];
  return out;
}
inline Floats narrow(Doubles a, Doubles b) {
  Floats out;
  for (int j = 0; j < kWide; ++j) out[j] = static_cast<float>(a[j]);
  for (int j = 0; j < kWide; ++j) out[kWide + j] = static_cast<float>(b[j]);
  return out;
}
#endif

// Zeros that no register is kept for, where a loop has none to spare: making them costs less than moving a sum in and out.
#if defined(__AVX2__) && !defined(__AVX512F__)
inline Doubles fresh_zeros() {
  Doubles zeros;
  asm volatile("vxorpd %0, %0, %0" : "=x"(zeros));
  return zeros;
}
#else
inline Doubles fresh_zeros() { return Doubles{}; }
#endif

// sum + v * v for v that were floats: such a square is exact, so fusing the two operations cannot change a bit.
#if defined(__AVX512F__)
inline Doubles add_square(Doubles sum, Doubles v) { return _mm512_fmadd_pd(v, v, sum); }
#elif defined(__FMA__)
inline Doubles add_square(Doubles sum, Doubles v) { return _mm256_fmadd_pd(v, v, sum); }
#else
inline Doubles add_square(Doubles sum, Doubles v) { return sum + v * v; }
#endif

// Is one of them NaN? Are all of them from low to high?
#if defined(__AVX512F__)
inline bool any_nan(Doubles a) { return _mm512_cmp_pd_mask(a, a, _CMP_UNORD_Q) != 0; }
inline bool all_between(Floats a, float low, float high) {
  return (_mm512_cmp_ps_mask(a, _mm512_set1_ps(low), _CMP_GE_OQ) &
          _mm512_cmp_ps_mask(a, _mm512_set1_ps(high), _CMP_LE_OQ)) == 0xffff;
}
#elif defined(__AVX2__)
inline bool any_nan(Doubles a) { return _mm256_movemask_pd(_mm256_cmp_pd(a, a, _CMP_UNORD_Q)) != 0; }
inline bool all_between(Floats a, float low, float high) {
  return _mm256_movemask_ps(_mm256_and_ps(_mm256_cmp_ps(a, _mm256_set1_ps(low), _CMP_GE_OQ),
                                          _mm256_cmp_ps(a, _mm256_set1_ps(high), _CMP_LE_OQ))) == 0xff;
}
#else
inline bool any_nan(Doubles a) {
  bool any = false;
  for (int j = 0; j < kWide; ++j) any = any || a[j] != a[j];
  return any;
}
inline bool all_between(Floats a, float low, float high) {
  bool all = true;
  for (int j = 0; j < kFull; ++j) all = all && a[j] >= low && a[j] <= high;
  return all;
}
#endif

// a > b ? a : b and a < b ? a : b: the second where either is NaN.
#if defined(__AVX512F__)
inline Doubles max_of(Doubles a, Doubles b) { return _mm512_maskz_max_pd(0xff, a, b); }
inline Doubles min_of(Doubles a, Doubles b) { return _mm512_maskz_min_pd(0xff, a, b); }
inline Floats max_of(Floats a, Floats b) { return _mm512_maskz_max_ps(0xffff, a, b); }
inline Floats min_of(Floats a, Floats b) { return _mm512_maskz_min_ps(0xffff, a, b); }
#elif defined(__AVX2__)
inline Doubles max_of(Doubles a, Doubles b) { return _mm256_max_pd(a, b); }
inline Doubles min_of(Doubles a, Doubles b) { return _mm256_min_pd(a, b); }
inline Floats max_of(Floats a, Floats b) { return _mm256_max_ps(a, b); }
inline Floats min_of(Floats a, Floats b) { return _mm256_min_ps(a, b); }
#elif defined(__SSE4_2__)
inline Doubles max_of(Doubles a, Doubles b) { return _mm_max_pd(a, b); }
inline Doubles min_of(Doubles a, Doubles b) { return _mm_min_pd(a, b); }
inline Floats max_of(Floats a, Floats b) { return _mm_max_ps(a, b); }
inline Floats min_of(Floats a, Floats b) { return _mm_min_ps(a, b); }
#else
inline Doubles max_of(Doubles a, Doubles b) { return a > b ? a : b; }
inline Doubles min_of(Doubles a, Doubles b) { return a < b ? a : b; }
inline Floats max_of(Floats a, Floats b) { return a > b ? a : b; }
inline Floats min_of(Floats a, Floats b) { return a < b ? a : b; }
#endif

// kFull bytes as floats.
#if defined(__AVX512F__)
inline Floats floats_of(const std::uint8_t* from) {
  return _mm512_maskz_cvtepi32_ps(0xffff, _mm512_maskz_cvtepu8_epi32(0xffff, load_as<__m128i>(from)));
}
#elif defined(__AVX2__)
inline Floats floats_of(const std::uint8_t* from) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
}
#else
inline Floats floats_of(const std::uint8_t* from) {
  Floats out;
  for (int j = 0; j < kFull; ++j) out[j] = from[j];
  return out;
}
#endif

// Is any bit set?
typedef std::int32_t Ints __attribute__((vector_size(kVectorBytes)));
#if defined(__AVX512F__)
inline bool any_set(Ints v) {
  const auto bits = __builtin_bit_cast(__m512i, v);
  return _mm512_test_epi32_mask(bits, bits) != 0;
}
#elif defined(__AVX2__)
inline bool any_set(Ints v) {
  const auto bits = __builtin_bit_cast(__m256i, v);
  return _mm256_testz_si256(bits, bits) == 0;
}
#elif defined(__SSE4_2__)
inline bool any_set(Ints v) {
  const auto bits = __builtin_bit_cast(__m128i, v);
  return _mm_testz_si128(bits, bits) == 0;
}
#else
inline bool any_set(Ints v) {
  Ints all = {};
  for (int j = 0; j < kFull; ++j) all[0] |= v[j];
  return all[0] != 0;
}
#endif

}  // namespace
}  // namespace layer_fast::kernels::LF_ISA
