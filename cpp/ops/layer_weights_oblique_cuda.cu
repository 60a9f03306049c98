// CUDA: layer_weights for maps that are turned against the labels. As on the CPU the slices are shared out to strands,
// each with a result of its own, which are added in order. A thread has one cell of one strand: it looks only at those
// voxels of each row that can reach the cell, and adds their weights in the order of memory, which is the CPU's. Every
// voxel is looked at by a few dozen threads, in float64: slower than the aligned case by far, and seldom asked for.
#include <algorithm>

#include "ops/layer_weights_cuda.hpp"
#include "ops/layer_weights_impl.hpp"

namespace layer_fast::impl {
namespace {

constexpr int kThreads = 128;

struct ObliqueTask {
  const std::uint8_t* labels;
  double grid[12];
  std::int64_t nz, ny, nx, m[3], rows, strands;
  double* parts;  // (strands, rows, map)
  int* highest;
};

struct Interval {
  double begin, end;
};

// Among which x of one row all voxels are whose position c + r x on an axis of n reads index a; one more at both ends.
__device__ Interval readers_of(double c, double r, std::int64_t a, std::int64_t n, Interval row) {
  constexpr double kSlack = 1e-3;  // of a map voxel, for roundings
  const double low = a == 0 ? -1e300 : static_cast<double>(a) - 1.0 - kSlack;
  const double high = a == n - 1 ? 1e300 : static_cast<double>(a) + 1.0 + kSlack;
  if (r == 0.0) return low < c && c < high ? row : Interval{0.0, 0.0};
  const double one = (low - c) / r, other = (high - c) / r;
  if (!(one == one && other == other)) return row;
  const double first = (one < other ? one : other) - 1.0, last = (one < other ? other : one) + 2.0;
  return {first > row.begin ? first : row.begin, last < row.end ? last : row.end};
}

// Adds what one voxel gives to the cell at `a`, tap by tap.
__device__ void add_voxel(const Tap (&taps)[3], const std::int64_t (&a)[3], double* sum) {
  for (int corner = 0; corner < 4; ++corner) {
    const bool z_high = corner / 2 == 1, y_high = corner % 2 == 1;
    if ((z_high ? taps[0].high : taps[0].low) != a[0] || (y_high ? taps[1].high : taps[1].low) != a[1]) continue;
    const double weight = (z_high ? taps[0].t : 1.0 - taps[0].t) * (y_high ? taps[1].t : 1.0 - taps[1].t);
    if (taps[2].low == a[2]) *sum += weight * (1.0 - taps[2].t);
    if (taps[2].high == a[2]) *sum += weight * taps[2].t;
  }
}

__device__ void add_voxels(const ObliqueTask& task, std::int64_t z, std::int64_t y, const std::int64_t (&a)[3],
                           double* layers, std::int64_t stride) {
  Interval row{0.0, static_cast<double>(task.nx)};
  for (int axis = 0; axis < 3; ++axis) {
    const double* g = task.grid + 4 * axis;
    row = readers_of(map_position(g, z, y, 0), g[2], a[axis], task.m[axis], row);
  }
  if (!(row.begin < row.end)) return;
  const std::uint8_t* labels = task.labels + (z * task.ny + y) * task.nx;
  for (std::int64_t x = static_cast<std::int64_t>(row.begin); x < row.end; ++x) {
    const int label = labels[x];
    if (label >= task.rows) {
      atomicMax(task.highest, label);
      continue;
    }
    Tap taps[3];
    for (int axis = 0; axis < 3; ++axis) taps[axis] = make_tap(map_position(task.grid + 4 * axis, z, y, x), task.m[axis]);
    add_voxel(taps, a, layers + label * stride);
  }
}

// A thread: one cell of one strand.
__global__ void spread_strands(ObliqueTask task) {
  const std::int64_t cells = task.m[0] * task.m[1] * task.m[2];
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x, strand = i / cells, cell = i % cells;
  if (strand >= task.strands) return;
  const std::int64_t a[3] = {cell / (task.m[1] * task.m[2]), cell / task.m[2] % task.m[1], cell % task.m[2]};
  double* const layers = task.parts + strand * task.rows * cells + cell;
  for (std::int64_t z = strand * task.nz / task.strands; z < (strand + 1) * task.nz / task.strands; ++z) {
    for (std::int64_t y = 0; y < task.ny; ++y) add_voxels(task, z, y, a, layers, cells);
  }
}

__global__ void add_strands(const double* parts, std::int64_t strands, std::int64_t width, double* out) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= width) return;
  double sum = 0.0;
  for (std::int64_t strand = 0; strand < strands; ++strand) sum += parts[strand * width + i];
  out[i] = sum;
}

}  // namespace

void spread_oblique(cuda::Queue& queue, const WeightsTask& task, const GridMap& map) {
  const std::int64_t cells = task.map[0] * task.plane(), width = task.rows * cells;
  const std::int64_t strands = std::min(kWeightStrands, task.grid[0]);
  const auto parts = queue.zeros<double>(strands * width);
  ObliqueTask given{task.labels, {}, task.grid[0], task.grid[1], task.grid[2], {task.map[0], task.map[1], task.map[2]},
                    task.rows, strands, parts.data(), task.highest};
  std::copy(map.begin(), map.begin() + 12, given.grid);
  queue.run(spread_strands, dim3(cuda::blocks_for(strands * cells, kThreads)), dim3(kThreads), 0, given);
  queue.run(add_strands, dim3(cuda::blocks_for(width, kThreads)), dim3(kThreads), 0, parts.data(), strands, width,
            task.out);
}

}  // namespace layer_fast::impl
