#include "ops/separable_rows.hpp"

namespace layer_fast::impl {
namespace {

template <int Width>
void fixed(const std::int32_t* index, const float* weight, std::int64_t n, const float* row, float* out) {
  for (std::int64_t x = 0; x < n; ++x) {
    float sum = weight[x] * row[index[x]];
    for (int t = 1; t < Width; ++t) sum += weight[t * n + x] * row[index[t * n + x]];
    out[x] = sum;
  }
}

}  // namespace

void along_x(const AxisTaps& taps, const float* row, float* out) {
  const std::int32_t* index = taps.index.data();
  const float* weight = taps.weight.data();
  const std::int64_t n = taps.size();
  switch (taps.width) {
    case 1: return fixed<1>(index, weight, n, row, out);
    case 2: return fixed<2>(index, weight, n, row, out);
    case 4: return fixed<4>(index, weight, n, row, out);
    default: break;
  }
  fixed<3>(index, weight, n, row, out);
  for (int t = 3; t < taps.width; ++t) {
    for (std::int64_t x = 0; x < n; ++x) out[x] += weight[t * n + x] * row[index[t * n + x]];
  }
}

}  // namespace layer_fast::impl
