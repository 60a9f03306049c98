#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "layer_fast/error.hpp"
#include "ops/argmax_resample_impl.hpp"
#include "ops/argmax_resample_voxel.hpp"
#include "ops/axis_taps.hpp"
#include "ops/oblique_voxel.hpp"
#include "ops/separable_rows.hpp"
#include "ops/x_plan.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "argmax_resample";
constexpr float kLowest = -std::numeric_limits<float>::infinity();

void check_finite(const float* logits, std::int64_t n) {
  const auto bad = std::count_if(logits, logits + n, [](float v) { return !std::isfinite(v); });
  expects(bad == 0, kOp, "finite logits", std::to_string(bad) + " that are NaN or infinite");
}

// One worker's rows: a reader per class, the interpolated line, the best logit and its class so far.
struct Team {
  std::vector<SeparableRows> classes;
  std::vector<float> line, best;
  std::vector<std::int32_t> label;

  explicit Team(std::int64_t nx)
      : line(static_cast<std::size_t>(nx)), best(static_cast<std::size_t>(nx)), label(static_cast<std::size_t>(nx)) {}

  void start() {
    std::fill(best.begin(), best.end(), kLowest);
    std::fill(label.begin(), label.end(), 0);
  }
  void offer(std::int32_t klass) {
    const auto n = static_cast<std::int64_t>(line.size());
    const float* logit = line.data();
    float* top = best.data();
    std::int32_t* labels = label.data();
    for (std::int64_t x = 0; x < n; ++x) voxel::take_larger(logit[x], klass, top[x], labels[x]);
  }
  void write(std::uint8_t* out) const {
    for (std::size_t x = 0; x < label.size(); ++x) out[x] = static_cast<std::uint8_t>(label[x]);
  }
};

void separable(const float* in, const ArrayView& logits, const ArrayView& out, const GridAxes& axes, int threads) {
  const AxisTaps tz = interpolation_taps(axes.z, Interpolation::linear, false);
  const AxisTaps ty = interpolation_taps(axes.y, Interpolation::linear, false);
  const XPass along_x(interpolation_taps(axes.x, Interpolation::linear, false));
  const std::int64_t volume = logits.shape[1] * logits.shape[2] * logits.shape[3];
  const std::int64_t nz = out.shape[0], ny = out.shape[1], nx = out.shape[2];
  const std::int64_t block = rows_per_tile(ny, nx), blocks = (ny + block - 1) / block;
  std::uint8_t* labels = out.out<std::uint8_t>(kOp);
  Team one(nx);
  for (std::int64_t k = 0; k < logits.shape[0]; ++k) {
    one.classes.emplace_back(in + k * volume, Dtype::f32, logits.shape[2], logits.shape[3], tz, ty);
  }
  const int workers = worker_count(nz * blocks, threads);
  std::vector<Team> teams(static_cast<std::size_t>(workers), one);
  parallel_for(nz * blocks, workers, [&](std::int64_t tile, int worker) {
    Team& team = teams[static_cast<std::size_t>(worker)];
    const std::int64_t z = tile / blocks, y0 = tile % blocks * block;
    for (auto& rows : team.classes) rows.begin(z);
    for (std::int64_t y = y0; y < std::min(y0 + block, ny); ++y) {
      team.start();
      for (std::size_t k = 0; k < team.classes.size(); ++k) {
        along_x(team.classes[k].row(y), team.line.data());
        team.offer(static_cast<std::int32_t>(k));
      }
      team.write(labels + (z * ny + y) * nx);
    }
  });
}

std::uint8_t label_at(const float* in, const ArrayView& logits, const GridMap& map, std::int64_t z, std::int64_t y,
                      std::int64_t x) {
  const std::int64_t nz = logits.shape[1], ny = logits.shape[2], nx = logits.shape[3];
  const auto tz = voxel::taps_at(voxel::mapped(map.data(), z, y, x), nz, Interpolation::linear);
  const auto ty = voxel::taps_at(voxel::mapped(map.data() + 4, z, y, x), ny, Interpolation::linear);
  const auto tx = voxel::taps_at(voxel::mapped(map.data() + 8, z, y, x), nx, Interpolation::linear);
  float best = kLowest;
  std::int32_t label = 0;
  for (std::int64_t k = 0; k < logits.shape[0]; ++k) {
    voxel::take_larger(voxel::sum_taps(in + k * nz * ny * nx, ny, nx, tz, ty, tx), static_cast<std::int32_t>(k), best,
                       label);
  }
  return static_cast<std::uint8_t>(label);
}

void oblique(const float* in, const ArrayView& logits, const ArrayView& out, const GridMap& map, int threads) {
  const std::int64_t ny = out.shape[1], nx = out.shape[2];
  std::uint8_t* labels = out.out<std::uint8_t>(kOp);
  parallel_for(out.shape[0], threads, [&](std::int64_t z, int) {
    for (std::int64_t y = 0; y < ny; ++y) {
      for (std::int64_t x = 0; x < nx; ++x) labels[(z * ny + y) * nx + x] = label_at(in, logits, map, z, y, x);
    }
  });
}

}  // namespace

void argmax_resample_cpu(const ArrayView& logits, const ArrayView& out, const std::optional<GridMap>& grid_map,
                         int threads) {
  const float* in = logits.in<float>(kOp);
  check_finite(in, logits.size());
  const auto axes = separable_axes(logits, out, grid_map, 1, 0);
  if (!axes) return oblique(in, logits, out, *grid_map, resolve_threads(threads));
  separable(in, logits, out, *axes, resolve_threads(threads));
}

}  // namespace layer_fast::impl
