#include <algorithm>
#include <string>
#include <vector>

#include "layer_fast/error.hpp"
#include "ops/axis_taps.hpp"
#include "ops/resample_labels_impl.hpp"
#include "ops/separable_rows.hpp"
#include "ops/x_plan.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "resample_labels";

void check_labels(const std::uint8_t* labels, std::int64_t n, std::int64_t num_labels) {
  const std::uint8_t largest = *std::max_element(labels, labels + n);
  expects(largest < num_labels, kOp, "labels below num_labels = " + std::to_string(num_labels),
          "label " + std::to_string(largest));
}

// Weight of each (label, x) of one output row, over z and y; sums run over z inside y, as everywhere.
void gather(const std::uint8_t* labels, std::int64_t ny, std::int64_t nx, const AxisTaps& tz, const AxisTaps& ty,
            std::int64_t z, std::int64_t y, std::vector<float>& weight) {
  std::fill(weight.begin(), weight.end(), 0.0f);
  float* sums = weight.data();
  for (int b = 0; b < ty.width; ++b) {
    for (int a = 0; a < tz.width; ++a) {
      const float w = ty.weights(y)[b] * tz.weights(z)[a];
      if (w == 0) continue;  // padding
      const std::uint8_t* row = labels + (tz.indices(z)[a] * ny + ty.indices(y)[b]) * nx;
      for (std::int64_t x = 0; x < nx; ++x) sums[row[x] * nx + x] += w;
    }
  }
}

}  // namespace

void resample_labels_cpu(const ArrayView& labels, const ArrayView& out, const std::optional<GridMap>& grid_map,
                         int threads) {
  const std::uint8_t* in = labels.in<std::uint8_t>(kOp);
  float* fractions = out.out<float>(kOp);
  const std::int64_t count = out.shape[0], nz = out.shape[1], ny = out.shape[2], nx = out.shape[3];
  check_labels(in, labels.size(), count);
  const GridAxes axes = *separable_axes(labels, out, grid_map, 0, 1);
  const AxisTaps tz = box_taps(axes.z), ty = box_taps(axes.y);
  const XPass along_x(box_taps(axes.x));
  const std::int64_t ny_in = labels.shape[1], nx_in = labels.shape[2];
  const std::int64_t block = rows_per_tile(ny, nx);
  const std::int64_t blocks = (ny + block - 1) / block;
  const int team = worker_count(nz * blocks, resolve_threads(threads));
  std::vector<std::vector<float>> scratch(static_cast<std::size_t>(team),
                                          std::vector<float>(static_cast<std::size_t>(count * nx_in + kernels::kRowSlack)));
  parallel_for(nz * blocks, team, [&](std::int64_t tile, int worker) {
    std::vector<float>& weight = scratch[static_cast<std::size_t>(worker)];
    const std::int64_t z = tile / blocks, y0 = tile % blocks * block;
    for (std::int64_t y = y0; y < std::min(y0 + block, ny); ++y) {
      gather(in, ny_in, nx_in, tz, ty, z, y, weight);
      for (std::int64_t k = 0; k < count; ++k) {
        along_x(weight.data() + k * nx_in, fractions + ((k * nz + z) * ny + y) * nx);
      }
    }
  });
}

}  // namespace layer_fast::impl
