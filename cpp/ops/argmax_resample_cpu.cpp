#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "layer_fast/error.hpp"
#include "ops/argmax_resample_impl.hpp"
#include "ops/argmax_resample_voxel.hpp"
#include "ops/argmax_worker.hpp"
#include "ops/oblique_voxel.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "argmax_resample";
constexpr float kLowest = -std::numeric_limits<float>::infinity();

[[noreturn]] void refuse_infinite(const float* logits, std::int64_t n) {
  const auto bad = std::count_if(logits, logits + n, [](float v) { return !std::isfinite(v); });
  refuse(kOp, "finite logits", std::to_string(bad) + " that are NaN or infinite");
}

void check_finite(const float* logits, const ArrayView& view, int threads) {
  const std::int64_t plane = view.shape[2] * view.shape[3], planes = view.shape[0] * view.shape[1];
  std::atomic<bool> finite{true};
  parallel_for(planes, threads, [&](std::int64_t p, int) {
    if (!kernels::argmax_rows().all_finite(logits + p * plane, plane)) finite = false;
  });
  if (!finite) refuse_infinite(logits, view.size());
}

void separable(const float* in, const ArrayView& logits, const ArrayView& out, const GridAxes& axes, int threads) {
  const ArgmaxGrid grid(in, logits, out, axes);
  std::uint8_t* labels = out.out<std::uint8_t>(kOp);
  if (!grid.early()) check_finite(in, logits, threads);
  const std::int64_t nz = out.shape[0], block = grid.planes_per_tile(), tiles = (nz + block - 1) / block;
  const int team = worker_count(tiles, threads);
  std::vector<ArgmaxWorker> workers(static_cast<std::size_t>(team), ArgmaxWorker(grid));
  std::vector<std::atomic<bool>> seen(static_cast<std::size_t>(logits.shape[1]));
  parallel_for(tiles, team, [&](std::int64_t tile, int worker) {
    for (std::int64_t z = tile * block; z < std::min(tile * block + block, nz); ++z) {
      workers[static_cast<std::size_t>(worker)].plane(z, labels + z * out.shape[1] * out.shape[2], seen);
    }
  });
  if (!grid.early()) return;
  // Planes that no output reads must be finite as well.
  bool finite = std::all_of(workers.begin(), workers.end(), [](const ArgmaxWorker& w) { return w.finite(); });
  const std::int64_t plane = logits.shape[2] * logits.shape[3];
  for (std::int64_t p = 0; p < logits.shape[0] * logits.shape[1]; ++p) {
    if (seen[static_cast<std::size_t>(p % logits.shape[1])]) continue;
    finite = finite && kernels::argmax_rows().all_finite(in + p * plane, plane);
  }
  if (!finite) refuse_infinite(in, logits.size());
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
  const auto axes = separable_axes(logits, out, grid_map, 1, 0);
  const int team = resolve_threads(threads);
  if (axes) return separable(in, logits, out, *axes, team);
  check_finite(in, logits, team);
  oblique(in, logits, out, *grid_map, team);
}

}  // namespace layer_fast::impl
