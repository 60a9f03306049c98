// The two-pass recursive filter of Unser, Aldroubi and Eden (IEEE PAMI 13, 1991) with pole sqrt(3) - 2 and gain 6.
#include "kernels/bspline_rows.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace layer_fast::kernels::LF_ISA {
namespace {

constexpr std::int64_t kHorizon = 40;  // kBsplinePole^40 < 1e-22: further samples change nothing

// The causal start: the sum over the mirrored signal, exact for short lines, cut at the horizon for long ones.
// Returns the factor that closes the sum.
inline double start(const float* data, std::int64_t n, std::int64_t stride, std::int64_t count,
                    double* __restrict first) {
  const bool whole = n <= kHorizon;
  const std::int64_t terms = whole ? 2 * n - 2 : kHorizon;
  for (std::int64_t i = 0; i < count; ++i) first[i] = 0;
  double power = 1;
  for (std::int64_t k = 0; k < terms; ++k, power *= kBsplinePole) {
    const float* sample = data + (k < n ? k : 2 * n - 2 - k) * stride;
    for (std::int64_t i = 0; i < count; ++i) first[i] += power * static_cast<double>(sample[i]);
  }
  return whole ? 1 / (1 - power) : 1;
}

constexpr auto kPole = static_cast<float>(kBsplinePole);
constexpr auto kEnding = static_cast<float>(kBsplinePole / (kBsplinePole * kBsplinePole - 1));

void columns(float* data, std::int64_t n, std::int64_t stride, std::int64_t count, double* first) {
  if (n == 1) return;
  const double closing = start(data, n, stride, count, first);
  for (std::int64_t i = 0; i < count; ++i) data[i] = static_cast<float>(6 * closing * first[i]);
  for (std::int64_t k = 1; k < n; ++k) {
    float* __restrict now = data + k * stride;
    const float* __restrict before = now - stride;
    for (std::int64_t i = 0; i < count; ++i) now[i] = 6 * now[i] + kPole * before[i];
  }
  float* __restrict last = data + (n - 1) * stride;
  const float* __restrict inner = last - stride;
  for (std::int64_t i = 0; i < count; ++i) last[i] = kEnding * (last[i] + kPole * inner[i]);
  for (std::int64_t k = n - 2; k >= 0; --k) {
    float* __restrict now = data + k * stride;
    const float* __restrict after = now + stride;
    for (std::int64_t i = 0; i < count; ++i) now[i] = kPole * (after[i] - now[i]);
  }
}

// The same with the running sample in registers.
void columns_side(float* __restrict turned, std::int64_t n, double* first) {
  constexpr std::int64_t side = kBsplineSide;
  const double closing = start(turned, n, side, side, first);
  float run[side];
  for (int i = 0; i < side; ++i) turned[i] = run[i] = static_cast<float>(6 * closing * first[i]);
  for (std::int64_t k = 1; k < n - 1; ++k) {
    for (int i = 0; i < side; ++i) turned[k * side + i] = run[i] = 6 * turned[k * side + i] + kPole * run[i];
  }
  float* last = turned + (n - 1) * side;
  for (int i = 0; i < side; ++i) {
    const float end = 6 * last[i] + kPole * run[i];
    last[i] = run[i] = kEnding * (end + kPole * run[i]);
  }
  for (std::int64_t k = n - 2; k >= 0; --k) {
    for (int i = 0; i < side; ++i) turned[k * side + i] = run[i] = kPole * (run[i] - turned[k * side + i]);
  }
}

#if defined(__AVX2__)

// to[c * to_stride + r] = from[r * from_stride + c] for 8 x 8.
inline void transpose8(const float* from, std::int64_t from_stride, float* to, std::int64_t to_stride) {
  __m256 r[8], s[8];
  for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(from + i * from_stride);
  for (int i = 0; i < 8; i += 2) {
    s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(s[i], s[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(s[i], s[i + 2], 0xee);
    r[i + 2] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(to + i * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}

constexpr std::int64_t kBlock = 8;

#else

constexpr std::int64_t kBlock = 1;
inline void transpose8(const float*, std::int64_t, float*, std::int64_t) {}

#endif

void rows(float* data, std::int64_t nx, float* turned, double* first) {
  constexpr std::int64_t side = kBsplineSide;
  if (nx == 1) return;
  const std::int64_t blocks = kBlock > 1 ? nx / kBlock * kBlock : 0;
  for (std::int64_t r = 0; r < side; r += kBlock) {
    for (std::int64_t x = 0; x < blocks; x += kBlock) transpose8(data + r * nx + x, nx, turned + x * side + r, side);
  }
  for (std::int64_t x = blocks; x < nx; ++x) {
    for (std::int64_t r = 0; r < side; ++r) turned[x * side + r] = data[r * nx + x];
  }
  columns_side(turned, nx, first);
  for (std::int64_t r = 0; r < side; r += kBlock) {
    for (std::int64_t x = 0; x < blocks; x += kBlock) transpose8(turned + x * side + r, side, data + r * nx + x, nx);
  }
  for (std::int64_t x = blocks; x < nx; ++x) {
    for (std::int64_t r = 0; r < side; ++r) data[r * nx + x] = turned[x * side + r];
  }
}

}  // namespace

const BsplineRows bspline_rows{columns, rows};

}  // namespace layer_fast::kernels::LF_ISA
