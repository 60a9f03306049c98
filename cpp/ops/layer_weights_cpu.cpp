#include <algorithm>
#include <atomic>

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
constexpr std::int64_t kStrands = 8;           // private copies of the result in the oblique case: fixed, not threads

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

struct Sizes {
  Shape3 labels, map;
  std::int64_t rows;
  std::int64_t plane() const { return map[1] * map[2]; }
};

// Supports of all map columns along x.
class Columns {
 public:
  Columns(const MapTaps& x, std::int64_t n_map) : supports_(at(n_map)), totals_(at(n_map)) {
    const auto n = static_cast<std::int64_t>(x.low.size());
    for (std::int64_t i = 0; i < n; ++i) {
      add(x.low[at(i)], i, 1.0 - x.t[at(i)]);
      if (x.high[at(i)] != x.low[at(i)]) add(x.high[at(i)], i, x.t[at(i)]);
    }
    for (std::int64_t m = 0; m < n_map; ++m) supports_[at(m)].total = totals_[at(m)].data();
  }
  const ColumnSupport& operator[](std::int64_t m) const { return supports_[at(m)]; }

 private:
  void add(std::int64_t m, std::int64_t x, double weight) {
    ColumnSupport& support = supports_[at(m)];
    std::vector<double>& total = totals_[at(m)];
    if (total.empty()) {
      support = {x, 0, nullptr};
      total.push_back(0.0);
    }
    total.push_back(total.back() + weight);  // the taps are monotone, so a support has no holes
    ++support.count;
  }
  std::vector<ColumnSupport> supports_;
  std::vector<std::vector<double>> totals_;
};

struct Axes {
  MapTaps z, y, x;
  Columns columns;
};

// Adds one row of labels, spread over the map's columns, to line[l * mx + m]. Marks the layers met.
void add_line(const std::uint8_t* labels, std::int64_t nx, std::int64_t mx, const Axes& axes, double* line, bool* met) {
  const auto same = kernels::labels().same;
  for (std::int64_t begin = 0; begin < nx;) {
    const std::uint8_t label = labels[begin];
    const std::int64_t end = begin + same(labels + begin, nx - begin);
    const std::int64_t a = axes.x.low[at(begin)], b = axes.x.low[at(end - 1)];
    const std::int64_t last = std::min(std::max(a, b) + 1, mx - 1);
    for (std::int64_t m = std::min(a, b); m <= last; ++m) line[label * mx + m] += run_weight(axes.columns[m], begin, end);
    met[label] = true;
    begin = end;
  }
}

// Scratch of one worker.
struct Scratch {
  std::vector<double> line;   // (rows, mx): one row of labels, spread along x
  std::vector<double> whole;  // (rows, my): weights of rows that are one layer from end to end
};

// One slice of labels spread over (rows, my, mx).
void add_slice(const std::uint8_t* labels, const Sizes& size, const Axes& axes, double* slice, Scratch& scratch) {
  const std::int64_t mx = size.map[2], my = size.map[1], nx = size.labels[2];
  const auto same = kernels::labels().same;
  std::fill(slice, slice + size.rows * size.plane(), 0.0);
  std::fill(scratch.line.begin(), scratch.line.end(), 0.0);
  std::fill(scratch.whole.begin(), scratch.whole.end(), 0.0);
  for (std::int64_t y = 0; y < size.labels[1]; ++y) {
    const std::uint8_t* row = labels + y * nx;
    const double t = axes.y.t[at(y)];
    if (same(row, nx) == nx) {
      scratch.whole[at(row[0] * my + axes.y.low[at(y)])] += 1.0 - t;
      scratch.whole[at(row[0] * my + axes.y.high[at(y)])] += t;
      continue;
    }
    bool met[256] = {};
    add_line(row, nx, mx, axes, scratch.line.data(), met);
    for (std::int64_t l = 0; l < size.rows; ++l) {
      if (!met[l]) continue;
      double* own = scratch.line.data() + l * mx;
      double* low = slice + l * size.plane() + axes.y.low[at(y)] * mx;
      double* high = slice + l * size.plane() + axes.y.high[at(y)] * mx;
      for (std::int64_t m = 0; m < mx; ++m) low[m] += (1.0 - t) * own[m];
      for (std::int64_t m = 0; t > 0.0 && m < mx; ++m) high[m] += t * own[m];
      std::fill(own, own + mx, 0.0);
    }
  }
  for (std::int64_t i = 0; i < size.rows * my; ++i) {
    if (scratch.whole[at(i)] == 0.0) continue;
    for (std::int64_t m = 0; m < mx; ++m) slice[i * mx + m] += scratch.whole[at(i)] * run_weight(axes.columns[m], 0, nx);
  }
}

void add_aligned(const std::uint8_t* labels, const Sizes& size, const Axes& axes, double* out, int threads) {
  const std::int64_t width = size.rows * size.plane(), nz = size.labels[0];
  const std::int64_t wave = std::clamp<std::int64_t>(kWaveBytes / (width * 8), std::min<std::int64_t>(threads, nz), nz);
  std::vector<double> slices(at(wave * width));
  std::vector<Scratch> scratch(at(worker_count(wave, threads)));
  for (Scratch& own : scratch) {
    own.line.resize(at(size.rows * size.map[2]));
    own.whole.resize(at(size.rows * size.map[1]));
  }
  for (std::int64_t first = 0; first < nz; first += wave) {
    const std::int64_t now = std::min(wave, nz - first);
    parallel_for(now, threads, [&](std::int64_t i, int worker) {
      const std::uint8_t* slice = labels + (first + i) * size.labels[1] * size.labels[2];
      add_slice(slice, size, axes, &slices[at(i * width)], scratch[at(worker)]);
    });
    parallel_for(size.rows, threads, [&](std::int64_t l, int) {  // each layer takes the slices in order
      for (std::int64_t i = 0; i < now; ++i) {
        const double* slice = &slices[at(i * width + l * size.plane())];
        const double t = axes.z.t[at(first + i)];
        double* low = out + (l * size.map[0] + axes.z.low[at(first + i)]) * size.plane();
        double* high = out + (l * size.map[0] + axes.z.high[at(first + i)]) * size.plane();
        for (std::int64_t m = 0; m < size.plane(); ++m) low[m] += (1.0 - t) * slice[m];
        for (std::int64_t m = 0; t > 0.0 && m < size.plane(); ++m) high[m] += t * slice[m];
      }
    });
  }
}

void add_oblique_slice(const std::uint8_t* labels, std::int64_t z, const Sizes& size, const GridMap& map, double* out) {
  for (std::int64_t y = 0; y < size.labels[1]; ++y) {
    for (std::int64_t x = 0; x < size.labels[2]; ++x) {
      const Tap tz = make_tap(map_position(&map[0], z, y, x), size.map[0]);
      const Tap ty = make_tap(map_position(&map[4], z, y, x), size.map[1]);
      const Tap tx = make_tap(map_position(&map[8], z, y, x), size.map[2]);
      double* layer = out + labels[y * size.labels[2] + x] * size.map[0] * size.plane();
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
}

void add_oblique(const std::uint8_t* labels, const Sizes& size, const GridMap& map, double* out, int threads) {
  const std::int64_t width = size.rows * size.map[0] * size.plane(), nz = size.labels[0];
  const std::int64_t strands = std::min(kStrands, nz);
  std::vector<std::vector<double>> parts(at(strands));
  parallel_for(strands, threads, [&](std::int64_t strand, int) {
    parts[at(strand)].assign(at(width), 0.0);
    for (std::int64_t z = strand * nz / strands; z < (strand + 1) * nz / strands; ++z) {
      add_oblique_slice(labels + z * size.labels[1] * size.labels[2], z, size, map, parts[at(strand)].data());
    }
  });
  for (const std::vector<double>& part : parts) {
    for (std::int64_t i = 0; i < width; ++i) out[i] += part[at(i)];
  }
}

}  // namespace

void layer_weights_cpu(const ArrayView& labels, const ArrayView& out, int num_layers,
                       const std::optional<GridMap>& grid_map, int threads) {
  const auto* label = labels.in<std::uint8_t>(kOp);
  auto* weights = out.out<double>(kOp);
  const Sizes size{{labels.shape[0], labels.shape[1], labels.shape[2]}, {out.shape[1], out.shape[2], out.shape[3]},
                   num_layers + 1};
  const int used = resolve_threads(threads);
  const std::uint8_t highest = kernels::labels().highest(label, labels.size());
  expects(highest <= num_layers, kOp, "labels from 0 to num_layers = " + std::to_string(num_layers),
          "label " + std::to_string(highest));
  std::fill(weights, weights + out.size(), 0.0);
  const GridMap map = grid_map_or_default(grid_map, size.labels, size.map);
  if (!is_axis_aligned(map)) return add_oblique(label, size, map, weights, used);
  MapTaps x = map_taps(map, 2, size.labels[2], size.map[2]);
  Columns columns(x, size.map[2]);
  const Axes axes{map_taps(map, 0, size.labels[0], size.map[0]), map_taps(map, 1, size.labels[1], size.map[1]),
                  std::move(x), std::move(columns)};
  add_aligned(label, size, axes, weights, used);
}

}  // namespace layer_fast::impl
