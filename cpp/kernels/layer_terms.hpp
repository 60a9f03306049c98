// What a voxel among others adds to its layer: four numbers side by side. Only kernels include this.
#pragma once

#include "kernels/vectors.hpp"
#include "ops/layer_reduce_accum.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

#if defined(__AVX2__)

using Terms = __m256d;

// What four finite voxels add: positive part, negative part, square and 1 of each, side by side.
inline void terms_of(const float* values, Terms* out) {
  const __m256d wide = _mm256_cvtps_pd(load_as<__m128>(values)), zero = _mm256_setzero_pd();
  const __m256d pos = _mm256_max_pd(wide, zero), neg = _mm256_min_pd(wide, zero);
  const __m256d sq = _mm256_mul_pd(wide, wide), one = _mm256_set1_pd(1.0);
  const __m256d even = _mm256_unpacklo_pd(pos, neg), odd = _mm256_unpackhi_pd(pos, neg);
  const __m256d even_sq = _mm256_unpacklo_pd(sq, one), odd_sq = _mm256_unpackhi_pd(sq, one);
  out[0] = _mm256_permute2f128_pd(even, even_sq, 0x20);
  out[1] = _mm256_permute2f128_pd(odd, odd_sq, 0x20);
  out[2] = _mm256_permute2f128_pd(even, even_sq, 0x31);
  out[3] = _mm256_permute2f128_pd(odd, odd_sq, 0x31);
}

#else

struct Terms {
  double pos, neg, sq, count;
};

inline void terms_of(const float* values, Terms* out) {
  for (int j = 0; j < 4; ++j) {
    const double wide = values[j];
    out[j] = {positive_part(wide), negative_part(wide), wide * wide, 1.0};
  }
}

Terms operator+(Terms a, Terms b) { return {a.pos + b.pos, a.neg + b.neg, a.sq + b.sq, a.count + b.count}; }

#endif

}  // namespace
}  // namespace layer_fast::kernels::LF_ISA
