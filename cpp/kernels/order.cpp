#include "kernels/order.hpp"

#include "kernels/vectors.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

constexpr int kLanes = 16;
constexpr float kLargest = __FLT_MAX__;

#if defined(__AVX2__) && !defined(__AVX512F__)

// For every pattern of eight bits, which lanes are set, moved to the front.
struct Fronts {
  alignas(32) std::int32_t lanes[256][8];
};

constexpr Fronts make_fronts() {
  Fronts fronts{};
  for (int bits = 0; bits < 256; ++bits) {
    int next = 0;
    for (int j = 0; j < 8; ++j) {
      if ((bits >> j & 1) != 0) fronts.lanes[bits][next++] = j;
    }
  }
  return fronts;
}
constexpr Fronts kFronts = make_fronts();

#endif

std::int64_t pick(const float* values, std::int64_t n, float low, float high, float* out) {
  std::int64_t found = 0, i = 0;
#if defined(__AVX512F__)
  for (; i + 16 <= n; i += 16) {
    const __m512 value = load_as<__m512>(values + i);
    const __mmask16 in = static_cast<__mmask16>(_mm512_cmp_ps_mask(value, _mm512_set1_ps(low), _CMP_GE_OQ) &
                                                _mm512_cmp_ps_mask(value, _mm512_set1_ps(high), _CMP_LE_OQ));
    store_as(out + found, _mm512_maskz_compress_ps(in, value));
    found += __builtin_popcount(in);
  }
#elif defined(__AVX2__)
  const __m256 least = _mm256_set1_ps(low), most = _mm256_set1_ps(high);
  for (; i + 8 <= n; i += 8) {
    const __m256 value = load_as<__m256>(values + i);
    const __m256 in = _mm256_and_ps(_mm256_cmp_ps(value, least, _CMP_GE_OQ), _mm256_cmp_ps(value, most, _CMP_LE_OQ));
    const int bits = _mm256_movemask_ps(in);
    store_as(out + found, _mm256_permutevar8x32_ps(value, load_as<__m256i>(kFronts.lanes[bits])));
    found += __builtin_popcount(static_cast<unsigned>(bits));
  }
#endif
  for (; i < n; ++i) {
    out[found] = values[i];
    found += static_cast<std::int64_t>(values[i] >= low) & static_cast<std::int64_t>(values[i] <= high);
  }
  return found;
}

std::int64_t above(const float* values, std::int64_t n, float high, double* lanes) {
  constexpr int kParts = kLanes / kWide;
  Doubles sums[kParts], zero = {};
  Longs counts[kParts] = {};
  for (int p = 0; p < kParts; ++p) sums[p] = load_as<Doubles>(lanes + p * kWide);
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int p = 0; p < kParts; ++p) {
      const Doubles value = widen(values + i + p * kWide);
      const Longs in = (value > zero + high) & (value <= zero + kLargest);
      sums[p] += in ? value : zero;
      counts[p] -= in;
    }
  }
  std::int64_t count = 0;
  for (int p = 0; p < kParts; ++p) {
    store_as(lanes + p * kWide, sums[p]);
    for (int j = 0; j < kWide; ++j) count += counts[p][j];
  }
  for (int j = 0; i + j < n; ++j) {
    const float value = values[i + j];
    if (value > high && value <= kLargest) {
      lanes[j] += static_cast<double>(value);
      ++count;
    }
  }
  return count;
}

}  // namespace

const Order order{pick, above};

}  // namespace layer_fast::kernels::LF_ISA
