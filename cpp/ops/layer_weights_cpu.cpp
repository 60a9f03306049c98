#include <algorithm>
#include <atomic>

#include "kernels/label_spread.hpp"
#include "kernels/labels.hpp"
#include "layer_fast/error.hpp"
#include "ops/layer_weights_accum.hpp"
#include "ops/layer_weights_impl.hpp"
#include "ops/map_reader.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "layer_weights";
constexpr std::int64_t kWaveBytes = 1 << 19;  // slices held at once; how many does not move a bit

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

struct Sizes {
  Shape3 labels, map;
  std::int64_t rows;
  std::int64_t plane() const { return map[1] * map[2]; }
};

struct Axes {
  MapTaps z, y, x;
  std::vector<double> prefix;  // see layer_weights_accum.hpp
};

// One slice of labels spread over (rows, my, mx). False: a label is above the last row.
bool add_slice(const std::uint8_t* labels, const Sizes& size, const Axes& axes, double* slice) {
  const std::int64_t mx = size.map[2], nx = size.labels[2];
  const kernels::SpreadPlan plan{axes.prefix.data(), axes.x.low.data(), nx, mx, size.plane(), static_cast<int>(size.rows)};
  const auto row = kernels::label_spread().row;
  std::fill(slice, slice + size.rows * size.plane(), 0.0);
  for (std::int64_t y = 0; y < size.labels[1]; ++y) {
    double* low = slice + axes.y.low[at(y)] * mx;
    if (!row(plan, labels + y * nx, axes.y.t[at(y)], low, slice + axes.y.high[at(y)] * mx)) return false;
  }
  return true;
}

// Each layer takes the slices from `first` on in order.
void spread_over_z(const double* slices, std::int64_t first, std::int64_t count, std::int64_t layer, const Sizes& size,
                   const MapTaps& z, double* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    const double* slice = slices + (i * size.rows + layer) * size.plane();
    const double t = z.t[at(first + i)];
    double* low = out + (layer * size.map[0] + z.low[at(first + i)]) * size.plane();
    double* high = out + (layer * size.map[0] + z.high[at(first + i)]) * size.plane();
    for (std::int64_t m = 0; m < size.plane(); ++m) low[m] += (1.0 - t) * slice[m];
    for (std::int64_t m = 0; t > 0.0 && m < size.plane(); ++m) high[m] += t * slice[m];
  }
}

// In waves: slices are spread along y and x, then over z. False: a label is above the last row.
bool add_aligned(const std::uint8_t* labels, const Sizes& size, const Axes& axes, double* out, int threads) {
  const std::int64_t width = size.rows * size.plane(), nz = size.labels[0], area = size.labels[1] * size.labels[2];
  const std::int64_t wave = std::clamp<std::int64_t>(kWaveBytes / (width * 8), std::min<std::int64_t>(threads, nz), nz);
  std::vector<double> slices(at(wave * width));
  std::atomic<bool> good{true};
  const auto slices_of = [&](std::int64_t phase) { return std::min(wave, nz - phase / 2 * wave); };
  const auto tiles = [&](std::int64_t phase) { return phase % 2 == 0 ? slices_of(phase) : size.rows; };
  parallel_phases(2 * ((nz + wave - 1) / wave), tiles, threads, [&](std::int64_t phase, std::int64_t tile, int) {
    const std::int64_t first = phase / 2 * wave;
    if (phase % 2 == 1) return spread_over_z(slices.data(), first, slices_of(phase), tile, size, axes.z, out);
    if (!add_slice(labels + (first + tile) * area, size, axes, &slices[at(tile * width)])) good = false;
  });
  return good;
}

bool add_oblique_slice(const std::uint8_t* labels, std::int64_t z, const Sizes& size, const GridMap& map, double* out) {
  for (std::int64_t y = 0; y < size.labels[1]; ++y) {
    for (std::int64_t x = 0; x < size.labels[2]; ++x) {
      const Tap tz = make_tap(map_position(&map[0], z, y, x), size.map[0]);
      const Tap ty = make_tap(map_position(&map[4], z, y, x), size.map[1]);
      const Tap tx = make_tap(map_position(&map[8], z, y, x), size.map[2]);
      const std::uint8_t label = labels[y * size.labels[2] + x];
      if (label >= size.rows) return false;
      double* layer = out + label * size.map[0] * size.plane();
      const auto add = [&](std::int64_t iz, std::int64_t iy, double weight) {
        double* row = layer + iz * size.plane() + iy * size.map[2];
        row[tx.low] += weight * (1.0 - tx.t);
        row[tx.high] += weight * tx.t;
      };
      add(tz.low, ty.low, (1.0 - tz.t) * (1.0 - ty.t));
      add(tz.low, ty.high, (1.0 - tz.t) * ty.t);
      add(tz.high, ty.low, tz.t * (1.0 - ty.t));
      add(tz.high, ty.high, tz.t * ty.t);
    }
  }
  return true;
}

bool add_oblique(const std::uint8_t* labels, const Sizes& size, const GridMap& map, double* out, int threads) {
  const std::int64_t width = size.rows * size.map[0] * size.plane(), nz = size.labels[0];
  const std::int64_t strands = std::min(kWeightStrands, nz), area = size.labels[1] * size.labels[2];
  std::vector<std::vector<double>> parts(at(strands));
  std::atomic<bool> good{true};
  parallel_for(strands, threads, [&](std::int64_t strand, int) {
    parts[at(strand)].assign(at(width), 0.0);
    for (std::int64_t z = strand * nz / strands; z < (strand + 1) * nz / strands; ++z) {
      if (!add_oblique_slice(labels + z * area, z, size, map, parts[at(strand)].data())) good = false;
    }
  });
  for (const std::vector<double>& part : parts) {
    for (std::int64_t i = 0; i < width; ++i) out[i] += part[at(i)];
  }
  return good;
}

bool add_all(const std::uint8_t* labels, const Sizes& size, const GridMap& map, double* out, int threads) {
  if (!is_axis_aligned(map)) return add_oblique(labels, size, map, out, threads);
  Axes axes{map_taps(map, 0, size.labels[0], size.map[0]), map_taps(map, 1, size.labels[1], size.map[1]),
            map_taps(map, 2, size.labels[2], size.map[2]), {}};
  axes.prefix = run_prefix(axes.x, size.map[2]);
  return add_aligned(labels, size, axes, out, threads);
}

}  // namespace

std::vector<double> run_prefix(const MapTaps& x, std::int64_t columns) {
  const auto n = static_cast<std::int64_t>(x.low.size());
  std::vector<double> prefix(at((n + 1) * columns), 0.0);
  for (std::int64_t i = 0; i < n; ++i) {
    double* next = &prefix[at((i + 1) * columns)];
    std::copy(next - columns, next, next);
    next[x.low[at(i)]] += 1.0 - x.t[at(i)];
    next[x.high[at(i)]] += x.t[at(i)];
  }
  return prefix;
}

void layer_weights_cpu(const ArrayView& labels, const ArrayView& out, int num_layers,
                       const std::optional<GridMap>& grid_map, int threads) {
  const auto* label = labels.in<std::uint8_t>(kOp);
  auto* weights = out.out<double>(kOp);
  const Sizes size{{labels.shape[0], labels.shape[1], labels.shape[2]}, {out.shape[1], out.shape[2], out.shape[3]},
                   num_layers + 1};
  std::fill(weights, weights + out.size(), 0.0);
  const GridMap map = grid_map_or_default(grid_map, size.labels, size.map);
  if (!add_all(label, size, map, weights, resolve_threads(threads))) {
    refuse(kOp, "labels from 0 to num_layers = " + std::to_string(num_layers),
           "label " + std::to_string(kernels::labels().highest(label, labels.size())));
  }
}

}  // namespace layer_fast::impl
