// The two-pass recursive filter of Unser, Aldroubi and Eden (IEEE PAMI 13, 1991) with pole sqrt(3) - 2 and gain 6.
#include "ops/bspline_prefilter.hpp"

#include <algorithm>
#include <vector>

#include "layer_fast/error.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr double kPole = -0.26794919243112270647;
constexpr std::int64_t kHorizon = 40;  // kPole^40 < 1e-22: further samples change nothing

// `count` lines side by side (neighbours in memory), each of n samples `stride` apart, filtered in place.
// `first` is float64 scratch for `count` numbers.
void filter_lines(float* data, std::int64_t n, std::int64_t stride, std::int64_t count, double* first) {
  if (n == 1) return;
  // The causal start: the sum over the mirrored signal, exact for short lines, cut at the horizon for long ones.
  const bool whole = n <= kHorizon;
  const std::int64_t terms = whole ? 2 * n - 2 : kHorizon;
  std::fill(first, first + count, 0.0);
  double power = 1;
  for (std::int64_t k = 0; k < terms; ++k, power *= kPole) {
    const float* sample = data + (k < n ? k : 2 * n - 2 - k) * stride;
    for (std::int64_t i = 0; i < count; ++i) first[i] += power * static_cast<double>(sample[i]);
  }
  const double closing = whole ? 1 / (1 - power) : 1;
  const auto pole = static_cast<float>(kPole);
  for (std::int64_t i = 0; i < count; ++i) data[i] = static_cast<float>(6 * closing * first[i]);
  for (std::int64_t k = 1; k < n; ++k) {
    float* now = data + k * stride;
    const float* before = now - stride;
    for (std::int64_t i = 0; i < count; ++i) now[i] = 6 * now[i] + pole * before[i];
  }
  const auto ending = static_cast<float>(kPole / (kPole * kPole - 1));
  float* last = data + (n - 1) * stride;
  for (std::int64_t i = 0; i < count; ++i) last[i] = ending * (last[i] + pole * last[i - stride]);
  for (std::int64_t k = n - 2; k >= 0; --k) {
    float* now = data + k * stride;
    const float* after = now + stride;
    for (std::int64_t i = 0; i < count; ++i) now[i] = pole * (after[i] - now[i]);
  }
}

constexpr std::int64_t kSide = 16;

// Lines along x have no neighbours in memory, so up to kSide rows are turned, filtered side by side and turned back.
void filter_rows(float* rows, std::int64_t count, std::int64_t nx, float* turned, double* first) {
  for (std::int64_t x = 0; x < nx; ++x) {
    for (std::int64_t r = 0; r < count; ++r) turned[x * count + r] = rows[r * nx + x];
  }
  filter_lines(turned, nx, count, count, first);
  for (std::int64_t r = 0; r < count; ++r) {
    for (std::int64_t x = 0; x < nx; ++x) rows[r * nx + x] = turned[x * count + r];
  }
}

template <class T>
void to_float(const T* in, float* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(in[i]);
}

void copy_part(const ArrayView& in, std::int64_t from, std::int64_t n, float* out) {
  switch (in.dtype) {
    case Dtype::u8: return to_float(in.in<std::uint8_t>("resample") + from, out, n);
    case Dtype::i16: return to_float(in.in<std::int16_t>("resample") + from, out, n);
    case Dtype::u16: return to_float(in.in<std::uint16_t>("resample") + from, out, n);
    default: return to_float(in.in<float>("resample") + from, out, n);
  }
}

}  // namespace

void bspline_prefilter(const ArrayView& in, const ArrayView& coefficients, int threads) {
  const std::int64_t nz = in.shape[0], ny = in.shape[1], nx = in.shape[2];
  float* data = coefficients.out<float>("resample");
  const int team = resolve_threads(threads);
  // Planes: copy, along x some rows at a time, along y all columns at once.
  parallel_for(nz, team, [&](std::int64_t z, int) {
    std::vector<double> first(static_cast<std::size_t>(std::max(nx, kSide)));
    std::vector<float> turned(static_cast<std::size_t>(nx * kSide));
    float* plane = data + z * ny * nx;
    copy_part(in, z * ny * nx, ny * nx, plane);
    for (std::int64_t y = 0; y < ny; y += kSide) {
      filter_rows(plane + y * nx, std::min(kSide, ny - y), nx, turned.data(), first.data());
    }
    filter_lines(plane, ny, nx, nx, first.data());
  });
  // Along z, a row of x at a time.
  parallel_for(ny, team, [&](std::int64_t y, int) {
    std::vector<double> first(static_cast<std::size_t>(nx));
    filter_lines(data + y * nx, nz, ny * nx, nx, first.data());
  });
}

}  // namespace layer_fast::impl
