// CUDA: what follows the tiles of layer_reduce: merged in order, written, and the voxel of each maximum looked for. A block
// has one layer of one map; a thread merges the tiles of a strip, the first thread the strips.
#include "ops/layer_reduce_cuda.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "layer_reduce";
constexpr int kThreads = 128;
constexpr std::int64_t kNowhere = 0x7fffffffffffffff;
constexpr float kNan = __builtin_bit_cast(float, 0x7fc00000u);  // the CPU's bits

struct MomentsOut {
  std::int64_t *count, *nonfinite, *argmax;
  double *sum, *sum_sq, *sum_abs, *sum_pos, *weight;
  float *min, *max;
};

struct MergeRoom {
  LayerPartial strips[kThreads];
  LayerPartial whole;
  std::int64_t places[kThreads];
};

// All tiles of one layer of one map, in room.whole.
__device__ void merge_in_order(const LayerPartial* parts, std::int64_t tiles, int rows, MergeRoom& room) {
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t strips = (tiles + kReduceStrip - 1) / kReduceStrip;
  if (thread == 0) room.whole = empty_partial();
  for (std::int64_t first = 0; first < strips; first += kThreads) {
    LayerPartial strip = empty_partial();
    const std::int64_t start = (first + thread) * kReduceStrip;
    const std::int64_t end = start + kReduceStrip < tiles ? start + kReduceStrip : tiles;
#pragma unroll 4
    for (std::int64_t tile = start; tile < end; ++tile) merge_partial(strip, parts[tile * rows], tile);
    room.strips[thread] = strip;
    __syncthreads();
    for (int i = 0; thread == 0 && i < kThreads && first + i < strips; ++i) {
      merge_partial(room.whole, room.strips[i], room.strips[i].max_tile);
    }
    __syncthreads();
  }
}

// The first voxel that holds the maximum, in the tile that has it.
__device__ std::int64_t find_maximum(const ReduceTask& task, std::int64_t k, int row, MergeRoom& room) {
  const int thread = static_cast<int>(threadIdx.x);
  const LayerPartial whole = room.whole;
  const std::int64_t start = whole.count > 0 ? whole.max_tile * kReduceTile : task.voxels;
  const std::int64_t end = start + kReduceTile < task.voxels ? start + kReduceTile : task.voxels;
  const float* map = task.source.map(k);
  std::int64_t found = kNowhere;
  for (std::int64_t i = start + thread; i < end && found == kNowhere; i += kThreads) {
    const bool inside = task.all_labels != nullptr ? task.labels(k)[i] == row : task.weights(k, row)[i] > 0.0f;
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
  const LayerPartial whole = room.whole;
  out.count[to] = whole.count;
  out.nonfinite[to] = whole.nonfinite;
  out.argmax[to] = place;
  out.sum[to] = whole.pos + whole.neg;
  out.sum_sq[to] = whole.sq;
  out.sum_abs[to] = whole.pos - whole.neg;
  out.sum_pos[to] = whole.pos;
  out.weight[to] = whole.weight;
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
