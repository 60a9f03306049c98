// Labels, a byte each, compared many at once. Only kernels include this.
#pragma once

#include "kernels/vectors.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

// Do 16, do 64 bytes all equal `byte`?
#if defined(__SSE4_2__)
inline __m128i equals(const std::uint8_t* bytes, __m128i pattern) {
  return _mm_cmpeq_epi8(load_as<__m128i>(bytes), pattern);
}
inline bool all_equal_16(const std::uint8_t* bytes, std::uint8_t byte) {
  return _mm_movemask_epi8(equals(bytes, _mm_set1_epi8(static_cast<char>(byte)))) == 0xffff;
}
inline bool all_equal_64(const std::uint8_t* bytes, std::uint8_t byte) {
  const __m128i pattern = _mm_set1_epi8(static_cast<char>(byte));
  const __m128i front = _mm_and_si128(equals(bytes, pattern), equals(bytes + 16, pattern));
  const __m128i back = _mm_and_si128(equals(bytes + 32, pattern), equals(bytes + 48, pattern));
  return _mm_movemask_epi8(_mm_and_si128(front, back)) == 0xffff;
}
#else
inline bool all_equal_16(const std::uint8_t* bytes, std::uint8_t byte) {
  const std::uint64_t pattern = 0x0101010101010101u * byte;
  return load_as<std::uint64_t>(bytes) == pattern && load_as<std::uint64_t>(bytes + 8) == pattern;
}
inline bool all_equal_64(const std::uint8_t* bytes, std::uint8_t byte) {
  return all_equal_16(bytes, byte) && all_equal_16(bytes + 16, byte) && all_equal_16(bytes + 32, byte) &&
         all_equal_16(bytes + 48, byte);
}
#endif

// Are 16 bytes all below `limit`, which is from 1 to 256?
inline bool all_below_16(const std::uint8_t* bytes, int limit) {
#if defined(__SSE4_2__)
  const __m128i most = _mm_set1_epi8(static_cast<char>(limit - 1));
  return _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(load_as<__m128i>(bytes), most), most)) == 0xffff;
#else
  bool all = true;
  for (int j = 0; j < 16; ++j) all = all && bytes[j] < limit;
  return all;
#endif
}

// Which of 16 bytes equal `byte`, as bits. They are read again here, see cut_out.
#if defined(__SSE4_2__)
inline unsigned equal_bits(const std::uint8_t* bytes, std::uint8_t byte) {
  asm("" : "+r"(bytes));
  return static_cast<unsigned>(_mm_movemask_epi8(equals(bytes, _mm_set1_epi8(static_cast<char>(byte)))));
}
#else
inline unsigned equal_bits(const std::uint8_t* bytes, std::uint8_t byte) {
  unsigned bits = 0;
  for (int j = 0; j < 16; ++j) bits |= static_cast<unsigned>(bytes[j] == byte) << j;
  return bits;
}
#endif

// Of kFull floats those whose byte equals `byte`: with 0 in place of the others, and with `value` in place of them.
#if defined(__AVX512F__)
inline void cut_out(const float* values, const std::uint8_t* bytes, const std::uint8_t* byte, const float* value,
                    float* zeroed, float* filled) {
  const __mmask16 own = _mm_cmpeq_epi8_mask(load_as<__m128i>(bytes), _mm_set1_epi8(static_cast<char>(*byte)));
  store_as(zeroed, _mm512_maskz_loadu_ps(own, values));
  store_as(filled, _mm512_mask_loadu_ps(_mm512_set1_ps(*value), own, values));
}
#elif defined(__AVX2__)
// Everything is read again where it is needed (the compiler cannot know that a pointer is still the same), so that two
// registers do: a loop with its sums in the others has no more.
inline void cut_out(const float* values, const std::uint8_t* bytes, const std::uint8_t* byte, const float* value,
                    float* zeroed, float* filled) {
  asm("" : "+r"(values), "+r"(bytes), "+r"(byte), "+r"(value));
  const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes));
  const __m256i same = _mm256_cvtepi8_epi32(_mm_cmpeq_epi8(eight, _mm_set1_epi8(static_cast<char>(*byte))));
  const __m256 own = _mm256_castsi256_ps(same);
  store_as(zeroed, _mm256_and_ps(own, load_as<__m256>(values)));
  asm("" : "+r"(values));
  store_as(filled, _mm256_blendv_ps(_mm256_set1_ps(*value), load_as<__m256>(values), own));
}
#else
inline void cut_out(const float* values, const std::uint8_t* bytes, const std::uint8_t* byte, const float* value,
                    float* zeroed, float* filled) {
  for (int j = 0; j < kFull; ++j) {
    zeroed[j] = bytes[j] == *byte ? values[j] : 0.0f;
    filled[j] = bytes[j] == *byte ? values[j] : *value;
  }
}
#endif

// How many bytes from here on equal the first, in whole sixteens.
inline std::int64_t run_length(const std::uint8_t* labels, std::int64_t count) {
  std::int64_t length = 0;
  while (length + 64 <= count && all_equal_64(labels + length, labels[0])) length += 64;
  while (length + 16 <= count && all_equal_16(labels + length, labels[0])) length += 16;
  return length;
}

}  // namespace
}  // namespace layer_fast::kernels::LF_ISA
