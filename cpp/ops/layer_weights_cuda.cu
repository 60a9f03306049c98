// CUDA: layer_weights for aligned maps. Every cell of the result has one thread that adds what the CPU adds, in its order:
// within a slice by rows and runs (see layer_weights_accum.hpp), then over the slices.
//
// First kernel: a warp has one map row of one slice, its threads columns; it reads the rows of labels that meet this map
// row (each is read by two), finds their runs by votes and adds each run's weights. Second: a thread has one cell and adds
// the slices. Moved: 1 byte a voxel (the second look meets the cache), 8 a slice and cell written and read. Limit: the
// latency of a row's runs, one after the other.
#include "ops/layer_weights_cuda.hpp"

#include <algorithm>
#include <utility>

#include "layer_fast/error.hpp"
#include "ops/layer_weights_accum.hpp"
#include "ops/layer_weights_impl.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "layer_weights";
constexpr int kRows = 16, kColumns = 64, kWindows = 8, kThreads = 256;  // layers and columns of a warp
constexpr unsigned kLanes = 0xffffffffu;
constexpr std::int64_t kWaveBytes = std::int64_t{256} << 20;  // slices held at once; how many does not move a bit

// The taps of one axis, and of each map index the voxels [first, end) among which all are that read it.
struct DeviceAxis {
  const std::int32_t *low, *high, *first, *end;
  const double* t;
  // The weight with which voxel i reads map index m; 0: it does not.
  __device__ double factor(std::int64_t i, std::int32_t m) const {
    if (low[i] == m) return 1.0 - t[i];
    return high[i] == m ? t[i] : 0.0;
  }
};

class Axis {
 public:
  Axis(cuda::Queue& queue, const MapTaps& taps, std::int64_t n_map) {
    const std::size_t n = taps.low.size(), m = static_cast<std::size_t>(n_map);
    std::vector<std::int32_t> first(m, static_cast<std::int32_t>(n)), end(m, 0), all = taps.low;
    for (std::size_t i = 0; i < n; ++i) {
      for (const std::int32_t at : {taps.low[i], taps.high[i]}) {
        first[static_cast<std::size_t>(at)] = std::min(first[static_cast<std::size_t>(at)], static_cast<std::int32_t>(i));
        end[static_cast<std::size_t>(at)] = static_cast<std::int32_t>(i) + 1;
      }
    }
    for (const std::vector<std::int32_t>* part : {&taps.high, &std::as_const(first), &std::as_const(end)}) {
      all.insert(all.end(), part->begin(), part->end());
    }
    indices_ = queue.upload(all);
    t_ = queue.upload(taps.t);
    const std::int32_t* at = indices_.data();
    view = {at, at + n, at + 2 * n, at + 2 * n + m, t_.data()};
  }
  DeviceAxis view{};

 private:
  cuda::Scratch<std::int32_t> indices_;
  cuda::Scratch<double> t_;
};

struct SliceTask {
  const std::uint8_t* labels;
  const double* prefix;
  DeviceAxis y;
  int ny, nx, my, mx, rows;
  double* slices;  // (slices of the wave, rows, my, mx)
  int* highest;
};

// One warp on one map row of one slice: what it adds runs to.
struct MapRow {
  double (*sums)[kColumns];
  int first_row, first_column, lane, beyond;

  __device__ void add(const SliceTask& task, int label, int begin, int end, double factor) {
    if (label >= task.rows && label > beyond) beyond = label;
    const int row = label - first_row;
    if (row < 0 || row >= kRows || label >= task.rows) return;
    for (int m = lane; m < kColumns && first_column + m < task.mx; m += 32) {
      sums[row][m] += factor * run_weight(task.prefix, task.mx, begin, end, first_column + m);
    }
  }
};

// All runs of one row of labels. Windows of 32 voxels, whose labels are asked for kWindows at a time.
__device__ void add_row(const SliceTask& task, const std::uint8_t* labels, double factor, MapRow& to) {
  int begin = 0, open = labels[0], last = open;  // the run that goes on; the label before the window
  for (int x0 = 0; x0 < task.nx; x0 += 32 * kWindows) {
    int window[kWindows];
#pragma unroll
    for (int w = 0; w < kWindows; ++w) {
      const int x = x0 + w * 32 + to.lane;
      window[w] = x < task.nx ? labels[x] : -1;
    }
#pragma unroll
    for (int w = 0; w < kWindows; ++w) {
      const int before = __shfl_up_sync(kLanes, window[w], 1);
      unsigned starts = __ballot_sync(kLanes, window[w] >= 0 && window[w] != (to.lane == 0 ? last : before));
      last = __shfl_sync(kLanes, window[w], 31);
      for (; starts != 0; starts &= starts - 1) {
        const int at = __ffs(static_cast<int>(starts)) - 1, end = x0 + w * 32 + at;
        to.add(task, open, begin, end, factor);
        open = __shfl_sync(kLanes, window[w], at);
        begin = end;
      }
    }
  }
  to.add(task, open, begin, task.nx, factor);
}

__global__ void spread_slices(SliceTask task) {
  __shared__ double sums[kRows][kColumns];
  const int lane = static_cast<int>(threadIdx.x), m_y = static_cast<int>(blockIdx.x % static_cast<unsigned>(task.my));
  const std::int64_t slice = blockIdx.x / static_cast<unsigned>(task.my);
  MapRow to{sums, static_cast<int>(blockIdx.y) * kRows, static_cast<int>(blockIdx.z) * kColumns, lane, 0};
  for (int row = 0; row < kRows; ++row) {
    for (int m = lane; m < kColumns; m += 32) sums[row][m] = 0.0;
  }
  for (int y = task.y.first[m_y]; y < task.y.end[m_y]; ++y) {
    const double factor = task.y.factor(y, m_y);
    if (factor != 0.0) add_row(task, task.labels + (slice * task.ny + y) * task.nx, factor, to);
  }
  for (int row = 0; row < kRows && to.first_row + row < task.rows; ++row) {
    double* out = task.slices + ((slice * task.rows + to.first_row + row) * task.my + m_y) * task.mx + to.first_column;
    for (int m = lane; m < kColumns && to.first_column + m < task.mx; m += 32) out[m] = sums[row][m];
  }
  if (to.beyond > 0) atomicMax(task.highest, to.beyond);
}

// A thread: one cell of the result. Slices [begin, end), of which `slices` has the first; out holds those before.
__global__ void spread_over_z(const double* slices, DeviceAxis z, std::int64_t begin, std::int64_t end, std::int64_t rows,
                              std::int64_t mz, std::int64_t plane, double* out) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= rows * mz * plane) return;
  const std::int64_t row = i / plane / mz, m_z = i / plane % mz;
  double sum = begin == 0 ? 0.0 : out[i];
  const std::int64_t from = z.first[m_z] > begin ? z.first[m_z] : begin, to = z.end[m_z] < end ? z.end[m_z] : end;
  for (std::int64_t s = from; s < to; ++s) {
    const double factor = z.factor(s, static_cast<std::int32_t>(m_z));
    if (factor != 0.0) sum += factor * slices[((s - begin) * rows + row) * plane + i % plane];
  }
  out[i] = sum;
}

}  // namespace

void spread_aligned(cuda::Queue& queue, const WeightsTask& task, const GridMap& map) {
  const Axis z(queue, map_taps(map, 0, task.grid[0], task.map[0]), task.map[0]);
  const Axis y(queue, map_taps(map, 1, task.grid[1], task.map[1]), task.map[1]);
  const auto prefix = queue.upload(run_prefix(map_taps(map, 2, task.grid[2], task.map[2]), task.map[2]));
  const std::int64_t nz = task.grid[0], width = task.rows * task.plane(), area = task.grid[1] * task.grid[2];
  const std::int64_t wave = std::clamp<std::int64_t>(kWaveBytes / (width * 8), 1, nz), cells = width * task.map[0];
  const auto slices = queue.scratch<double>(wave * width);
  for (std::int64_t first = 0; first < nz; first += wave) {
    const std::int64_t end = std::min(first + wave, nz);
    const SliceTask slice{task.labels + first * area, prefix.data(), y.view, static_cast<int>(task.grid[1]),
                          static_cast<int>(task.grid[2]), static_cast<int>(task.map[1]), static_cast<int>(task.map[2]),
                          static_cast<int>(task.rows), slices.data(), task.highest};
    const dim3 grid(static_cast<unsigned>((end - first) * task.map[1]), cuda::blocks_for(task.rows, kRows),
                    cuda::blocks_for(task.map[2], kColumns));
    queue.run(spread_slices, grid, dim3(32), 0, slice);
    queue.run(spread_over_z, dim3(cuda::blocks_for(cells, kThreads)), dim3(kThreads), 0, slices.data(), z.view, first, end,
              task.rows, task.map[0], task.plane(), task.out);
  }
}

void layer_weights_cuda(const ArrayView& labels, const ArrayView& out, int num_layers,
                        const std::optional<GridMap>& grid_map, std::uintptr_t stream) {
  cuda::Queue queue(kOp, labels, stream);
  const auto highest = queue.zeros<int>(1);
  const WeightsTask task{labels.in<std::uint8_t>(kOp), {labels.shape[0], labels.shape[1], labels.shape[2]},
                         {out.shape[1], out.shape[2], out.shape[3]}, num_layers + 1, out.out<double>(kOp), highest.data()};
  const GridMap map = grid_map_or_default(grid_map, task.grid, task.map);
  is_axis_aligned(map) ? spread_aligned(queue, task, map) : spread_oblique(queue, task, map);
  const int label = queue.read(highest.data(), 1)[0];
  expects(label == 0, kOp, "labels from 0 to num_layers = " + std::to_string(num_layers),
          "label " + std::to_string(label));
}

}  // namespace layer_fast::impl
