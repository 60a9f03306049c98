#include "ops/bspline_prefilter.hpp"

#include <algorithm>

#include "ops/separable_rows.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {

using kernels::kBsplineSide;

PlaneFilter::PlaneFilter(std::int64_t ny, std::int64_t nx)
    : ny_(ny), nx_(nx), turned_(static_cast<std::size_t>(nx * kBsplineSide)),
      first_(static_cast<std::size_t>(std::max(nx, kBsplineSide))) {}

void PlaneFilter::operator()(float* plane) {
  std::int64_t y = 0;
  for (; y + kBsplineSide <= ny_; y += kBsplineSide) kernels_.rows(plane + y * nx_, nx_, turned_.data(), first_.data());
  const std::int64_t left = ny_ - y;  // too few to fill registers: turned, filtered and turned back one by one
  float* rows = plane + y * nx_;
  for (std::int64_t i = 0; i < left * nx_; ++i) turned_[static_cast<std::size_t>(i % nx_ * left + i / nx_)] = rows[i];
  if (left > 0) kernels_.columns(turned_.data(), nx_, left, left, first_.data());
  for (std::int64_t i = 0; i < left * nx_; ++i) rows[i] = turned_[static_cast<std::size_t>(i % nx_ * left + i / nx_)];
  kernels_.columns(plane, ny_, nx_, nx_, first_.data());
}

void bspline_prefilter(const ArrayView& in, const ArrayView& coefficients, int threads) {
  const std::int64_t nz = in.shape[0], ny = in.shape[1], nx = in.shape[2];
  float* data = coefficients.out<float>("resample");
  const auto item = static_cast<std::int64_t>(dtype_size(in.dtype));
  const auto copy = row_kernels(in.dtype).combine;
  const int team = worker_count(nz, resolve_threads(threads));
  std::vector<PlaneFilter> filters(static_cast<std::size_t>(team), PlaneFilter(ny, nx));
  parallel_for(nz, team, [&](std::int64_t z, int worker) {
    const void* plane = static_cast<const char*>(in.data) + z * ny * nx * item;
    const float one = 1;
    copy(&plane, &one, 1, ny * nx, data + z * ny * nx);
    filters[static_cast<std::size_t>(worker)](data + z * ny * nx);
  });
  // Along z, a row of x at a time.
  parallel_for(ny, team, [&](std::int64_t y, int) {
    std::vector<double> first(static_cast<std::size_t>(nx));
    kernels::bspline_rows().columns(data + y * nx, nz, ny * nx, nx, first.data());
  });
}

}  // namespace layer_fast::impl
