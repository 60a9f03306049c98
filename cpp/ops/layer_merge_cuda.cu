// CUDA: what follows the tiles of layer_reduce: merged in order, written, and the voxel of each maximum looked for.
//
// A block has one layer of one map. Four of its threads each add one of the sums, tile after tile as merge_partial does;
// the others bring what comes next. That chain of additions, one a tile, takes tens of microseconds for the largest
// volumes, whatever the number of maps and layers.
#include "ops/layer_reduce_cuda.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "layer_reduce";
constexpr int kThreads = 128, kSums = 4;
constexpr std::int64_t kNowhere = 0x7fffffffffffffff;
constexpr float kNan = __builtin_bit_cast(float, 0x7fc00000u);  // the CPU's bits

struct MomentsOut {
  std::int64_t *count, *nonfinite, *argmax;
  double *sum, *sum_sq, *sum_abs, *sum_pos, *weight;
  float *min, *max;
};

// What does not depend on the order of tiles, but for the first tile of equal maxima.
struct Extremes {
  std::int64_t count, nonfinite, max_tile;
  float min, max;
};

__device__ void widen(Extremes& whole, const Extremes& next) {
  whole.count += next.count;
  whole.nonfinite += next.nonfinite;
  if (next.min < whole.min) whole.min = next.min;
  if (next.max > whole.max || (next.max == whole.max && next.max_tile < whole.max_tile)) {
    whole.max = next.max;
    whole.max_tile = next.max_tile;
  }
}

struct MergeRoom {
  double terms[kSums][kThreads];
  double sums[kSums];
  Extremes extremes[kThreads];
  std::int64_t places[kThreads];
};

// pos, neg, sq and weight, in room.sums; the extremes in room.extremes[0].
__device__ void merge_in_order(const LayerPartial* parts, std::int64_t tiles, int rows, MergeRoom& room) {
  const int thread = static_cast<int>(threadIdx.x);
  Extremes own{0, 0, kNowhere, __builtin_inff(), -__builtin_inff()};
  double sum = 0.0;
  for (std::int64_t first = 0; first < tiles; first += kThreads) {
    if (first + thread < tiles) {
      const LayerPartial part = parts[(first + thread) * rows];
      room.terms[0][thread] = part.pos;
      room.terms[1][thread] = part.neg;
      room.terms[2][thread] = part.sq;
      room.terms[3][thread] = part.weight;
      widen(own, {part.count, part.nonfinite, part.count > 0 ? first + thread : kNowhere, part.min, part.max});
    }
    __syncthreads();
    const int here = static_cast<int>(tiles - first < kThreads ? tiles - first : kThreads);
    if (thread % 32 == 0) {  // one a warp
      for (int i = 0; i < here; ++i) sum += room.terms[thread / 32][i];
    }
    __syncthreads();
  }
  if (thread % 32 == 0) room.sums[thread / 32] = sum;
  room.extremes[thread] = own;
  __syncthreads();
  if (thread == 0) {
    for (int i = 1; i < kThreads; ++i) widen(own, room.extremes[i]);
    room.extremes[0] = own;
  }
  __syncthreads();
}

// The first voxel that holds the maximum, in the tile that has it.
__device__ std::int64_t find_maximum(const ReduceTask& task, std::int64_t k, int row, MergeRoom& room) {
  const int thread = static_cast<int>(threadIdx.x);
  const Extremes whole = room.extremes[0];
  const std::int64_t start = whole.count > 0 ? whole.max_tile * kReduceTile : task.voxels;
  const std::int64_t end = start + kReduceTile < task.voxels ? start + kReduceTile : task.voxels;
  const float* map = task.source.map(k);
  std::int64_t found = kNowhere;
  for (std::int64_t i = start + thread; i < end && found == kNowhere; i += kThreads) {
    const bool inside = task.labels != nullptr ? task.labels[i] == row : task.weights[row * task.voxels + i] > 0.0f;
    if (inside && map_value(task.source, map, i) == whole.max) found = i;
  }
  room.places[thread] = found;
  __syncthreads();
  if (thread == 0) {
    for (int i = 1; i < kThreads; ++i) found = room.places[i] < found ? room.places[i] : found;
  }
  return found == kNowhere ? -1 : found;
}

__global__ void merge_layers(ReduceTask task, const LayerPartial* parts, MomentsOut out) {
  __shared__ MergeRoom room;
  const std::int64_t k = blockIdx.x;
  const int row = static_cast<int>(blockIdx.y);
  merge_in_order(parts + k * task.tiles * task.rows + row, task.tiles, task.rows, room);
  const std::int64_t place = find_maximum(task, k, row, room);
  if (threadIdx.x != 0) return;
  const std::int64_t to = k * task.rows + row;
  const Extremes whole = room.extremes[0];
  const double pos = room.sums[0], neg = room.sums[1];
  out.count[to] = whole.count;
  out.nonfinite[to] = whole.nonfinite;
  out.argmax[to] = place;
  out.sum[to] = pos + neg;
  out.sum_sq[to] = room.sums[2];
  out.sum_abs[to] = pos - neg;
  out.sum_pos[to] = pos;
  out.weight[to] = room.sums[3];
  out.min[to] = whole.count > 0 ? whole.min + 0.0f : kNan;  // -0 becomes +0
  out.max[to] = whole.count > 0 ? whole.max + 0.0f : kNan;
}

}  // namespace

void merge_tiles(cuda::Queue& queue, const ReduceTask& task, const LayerPartial* parts, const LayerReduceOut& out) {
  const MomentsOut to{out.count.out<std::int64_t>(kOp), out.nonfinite.out<std::int64_t>(kOp),
                      out.argmax.out<std::int64_t>(kOp), out.sum.out<double>(kOp), out.sum_sq.out<double>(kOp),
                      out.sum_abs.out<double>(kOp), out.sum_pos.out<double>(kOp), out.weight.out<double>(kOp),
                      out.min.out<float>(kOp), out.max.out<float>(kOp)};
  const dim3 grid(static_cast<unsigned>(task.maps_n), static_cast<unsigned>(task.rows));
  queue.run(merge_layers, grid, dim3(kThreads), 0, task, parts, to);
}

}  // namespace layer_fast::impl
