#include "kernels/intensities.hpp"

#include "kernels/vectors.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

constexpr std::int32_t kBeyond = 65536;

template <class T>
struct Widths {
  using Sum = std::int64_t;
  using Square = std::uint64_t;
};
template <>
struct Widths<std::uint8_t> {  // 65536 squares of 255 are still below 2^32
  using Sum = std::int32_t;
  using Square = std::uint32_t;
};

// What is left out becomes 0, which adds nothing, and lies beyond the range.
template <class T, bool kMask, bool kNonzero>
IntegerSums sums_of(const T* values, const std::uint8_t* mask, std::int64_t n) {
  std::int32_t low = kBeyond, high = -kBeyond, count = 0;
  typename Widths<T>::Sum sum = 0;
  typename Widths<T>::Square sum_sq = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int32_t value = values[i];
    bool in = true;
    if constexpr (kMask) in = mask[i] != 0;
    if constexpr (kNonzero) in = in & (value != 0);
    const std::int32_t kept = in ? value : 0, least = in ? value : kBeyond, most = in ? value : -kBeyond;
    low = least < low ? least : low;
    high = most > high ? most : high;
    count += in;
    sum += kept;
    sum_sq += static_cast<std::uint32_t>(kept) * static_cast<std::uint32_t>(kept);
  }
  return {count, sum, sum_sq, low, high};
}

#if defined(__AVX2__)

// 32 bytes at once, each summed as far as it goes: bytes by fours of 64 bits, squares by eights of 32.
struct ByteSums {
  __m256i zero = _mm256_setzero_si256(), low = _mm256_set1_epi8(-1), high = zero;
  __m256i left_out = zero, sum = zero, squares = zero;

  void add(__m256i value, __m256i out) {
    const __m256i kept = _mm256_andnot_si256(out, value);
    const __m256i a = _mm256_unpacklo_epi8(kept, zero), b = _mm256_unpackhi_epi8(kept, zero);
    low = _mm256_min_epu8(low, _mm256_or_si256(value, out));
    high = _mm256_max_epu8(high, kept);
    left_out = _mm256_add_epi64(left_out, _mm256_sad_epu8(out, zero));  // 255 each
    sum = _mm256_add_epi64(sum, _mm256_sad_epu8(kept, zero));
    squares = _mm256_add_epi32(squares, _mm256_add_epi32(_mm256_madd_epi16(a, a), _mm256_madd_epi16(b, b)));
  }
  IntegerSums total(std::int64_t n) const {
    IntegerSums found{n, 0, 0, kBeyond, -kBeyond};
    for (int j = 0; j < 4; ++j) found.count -= __builtin_bit_cast(Longs4, left_out)[j] / 255;
    for (int j = 0; j < 4; ++j) found.sum += __builtin_bit_cast(Longs4, sum)[j];
    for (int j = 0; j < 8; ++j) found.sum_sq += __builtin_bit_cast(Words8, squares)[j];
    for (int j = 0; j < 32 && found.count > 0; ++j) {
      const std::int32_t least = __builtin_bit_cast(Bytes32, low)[j], most = __builtin_bit_cast(Bytes32, high)[j];
      found.low = least < found.low ? least : found.low;
      found.high = most > found.high ? most : found.high;
    }
    return found;
  }

 private:
  typedef std::int64_t Longs4 __attribute__((vector_size(32)));
  typedef std::uint32_t Words8 __attribute__((vector_size(32)));
  typedef std::uint8_t Bytes32 __attribute__((vector_size(32)));
};

template <bool kMask, bool kNonzero>
IntegerSums sums_of(const std::uint8_t* values, const std::uint8_t* mask, std::int64_t n) {
  ByteSums sums;
  std::int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const __m256i value = load_as<__m256i>(values + i);
    __m256i out = sums.zero;
    if constexpr (kMask) out = _mm256_cmpeq_epi8(load_as<__m256i>(mask + i), sums.zero);
    if constexpr (kNonzero) out = _mm256_cmpeq_epi8(value, sums.zero);
    sums.add(value, out);
  }
  IntegerSums found = sums.total(i);
  const IntegerSums rest = sums_of<std::uint8_t, kMask, kNonzero>(values + i, kMask ? mask + i : mask, n - i);
  found.low = rest.low < found.low ? rest.low : found.low;
  found.high = rest.high > found.high ? rest.high : found.high;
  return {found.count + rest.count, found.sum + rest.sum, found.sum_sq + rest.sum_sq, found.low, found.high};
}

#else

template <bool kMask, bool kNonzero>
IntegerSums sums_of(const std::uint8_t* values, const std::uint8_t* mask, std::int64_t n) {
  return sums_of<std::uint8_t, kMask, kNonzero>(values, mask, n);
}

#endif

IntegerSums sums_u8(const void* untyped, const std::uint8_t* mask, bool nonzero, std::int64_t n) {
  const auto* values = static_cast<const std::uint8_t*>(untyped);
  if (mask != nullptr) return sums_of<true, false>(values, mask, n);
  return nonzero ? sums_of<false, true>(values, mask, n) : sums_of<false, false>(values, mask, n);
}

template <class T>
IntegerSums sums(const void* untyped, const std::uint8_t* mask, bool nonzero, std::int64_t n) {
  const T* values = static_cast<const T*>(untyped);
  if (mask != nullptr) return sums_of<T, true, false>(values, mask, n);
  return nonzero ? sums_of<T, false, true>(values, mask, n) : sums_of<T, false, false>(values, mask, n);
}

// Signed, as instruction sets compare bytes; a lane counts to 255 before it is read off.
void below(const std::uint8_t* values, std::int64_t n, const std::uint8_t* bounds, std::int64_t* counts) {
  typedef std::int8_t Signed __attribute__((vector_size(kVectorBytes)));
  typedef std::uint8_t Bytes __attribute__((vector_size(kVectorBytes)));
  Bytes limits[kBoundsAtOnce];
  for (int k = 0; k < kBoundsAtOnce; ++k) limits[k] = (Bytes{} + bounds[k]) ^ 0x80;
  std::int64_t i = 0;
  while (i + kVectorBytes <= n) {
    Bytes lanes[kBoundsAtOnce] = {};
    for (int turn = 0; turn < 255 && i + kVectorBytes <= n; ++turn, i += kVectorBytes) {
      const auto value = __builtin_bit_cast(Signed, load_as<Bytes>(values + i) ^ 0x80);
      for (int k = 0; k < kBoundsAtOnce; ++k) {
        lanes[k] -= __builtin_bit_cast(Bytes, value < __builtin_bit_cast(Signed, limits[k]));
      }
    }
    for (int k = 0; k < kBoundsAtOnce; ++k) {
      std::int32_t total = 0;
      for (int j = 0; j < kVectorBytes; ++j) total += lanes[k][j];
      counts[k] += total;
    }
  }
  for (; i < n; ++i) {
    for (int k = 0; k < kBoundsAtOnce; ++k) counts[k] += values[i] < bounds[k];
  }
}

}  // namespace

const Intensities intensities{sums_u8, sums<std::int16_t>, sums<std::uint16_t>, below};

}  // namespace layer_fast::kernels::LF_ISA
