// CUDA: the looks at all values that the search for order statistics asks for (order_sweep.hpp). Voxels is what is looked
// at: a struct for kernels with value(i) and label(i) (kNoLabel where a voxel does not count). Counts are integers, keys
// are sorted by the search, and the top sums keep the order of order_sweep.hpp, so all bytes are the CPU's.
#pragma once

#include "ops/float_key.hpp"
#include "ops/layer_reduce_accum.hpp"
#include "ops/order_sweep.hpp"
#include "runtime/cuda/cuda_queue.hpp"

namespace layer_fast::impl {

inline constexpr int kSweepThreads = 256, kSweepVoxels = 4096;
inline constexpr unsigned kAllLanes = 0xffffffffu;

// A bracket as kernels take it.
struct DeviceBracket {
  float low, high;
  std::uint32_t key;  // of low
  int shift;
};

template <class Voxels>
__global__ void sample_voxels(Voxels voxels, std::int64_t number, std::int64_t stride, float* values,
                              std::uint8_t* labels) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kSweepThreads + threadIdx.x;
  if (i >= number) return;
  const std::int64_t place = sample_place(i, stride);
  const int label = voxels.label(place);
  values[i] = label < 256 ? voxels.value(place) : __builtin_nanf("");
  labels[i] = static_cast<std::uint8_t>(label < 256 ? label : 0);
}

// Where a warp is in one layer, one of its threads counts for all: values below a bracket are many.
struct WarpCount {
  bool together, first;
  __device__ void add(unsigned long long* to, bool counted) const {
    if (!together) {
      if (counted) atomicAdd(to, 1ull);
      return;
    }
    const unsigned votes = __ballot_sync(kAllLanes, counted);
    if (first && votes != 0) atomicAdd(to, static_cast<unsigned long long>(__popc(votes)));
  }
};

// below and bins: of each bracket. starts: the first bracket of every layer and the end.
template <class Voxels>
__global__ void count_voxels(Voxels voxels, const DeviceBracket* brackets, const int* starts, int layers, int per,
                             unsigned long long* below, unsigned* bins) {
  const std::int64_t first = std::int64_t{blockIdx.x} * kSweepVoxels;
  for (int step = 0; step < kSweepVoxels / kSweepThreads; ++step) {
    const std::int64_t i = first + step * kSweepThreads + threadIdx.x;
    const int label = i < voxels.count ? voxels.label(i) : 256;
    const bool counts = label < layers;
    const float value = counts ? voxels.value(i) : 0.0f;
    const int first_label = __shfl_sync(kAllLanes, label, 0);  // asked by all, whether their voxel counts or not
    const bool together = __all_sync(kAllLanes, counts && label == first_label);
    if (!together && !counts) continue;
    const WarpCount warp{together, threadIdx.x % 32 == 0};
    for (int b = starts[label]; b < starts[label + 1]; ++b) {
      const DeviceBracket bracket = brackets[b];
      warp.add(&below[b], value < bracket.low && is_finite(value));
      if (value >= bracket.low && value <= bracket.high) {
        atomicAdd(&bins[b * per + static_cast<int>((float_key(value) - bracket.key) >> bracket.shift)], 1u);
      }
    }
  }
}

// The keys inside of brackets, in any order, each with its bracket.
template <class Voxels>
__global__ void collect_voxels(Voxels voxels, const DeviceBracket* brackets, const int* starts, int layers, int room,
                               int* found, std::uint32_t* keys, int* owners) {
  const std::int64_t first = std::int64_t{blockIdx.x} * kSweepVoxels;
  for (int step = 0; step < kSweepVoxels / kSweepThreads; ++step) {
    const std::int64_t i = first + step * kSweepThreads + threadIdx.x;
    const int label = i < voxels.count ? voxels.label(i) : 256;
    if (label >= layers) continue;
    const float value = voxels.value(i);
    for (int b = starts[label]; b < starts[label + 1]; ++b) {
      if (!(value >= brackets[b].low && value <= brackets[b].high)) continue;
      const int to = atomicAdd(found, 1);
      if (to >= room) continue;  // cannot be: the brackets were counted
      keys[to] = float_key(value);
      owners[to] = b;
    }
  }
}

// One layer of one piece, in room: the layer's values side by side, then sixteen lanes.
struct PieceRoom {
  float values[kOrderPiece];
  int before[2][kSweepThreads];
  double lanes[kReduceLanes];
  int counts[kReduceLanes];
  int present[256];
};

template <class Voxels>
__device__ int gather_layer(const Voxels& voxels, std::int64_t first, int layer, PieceRoom& room) {
  constexpr int kOwn = kOrderPiece / kSweepThreads;
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t start = first + thread * kOwn;
  int own = 0, from = 0;
  for (int j = 0; j < kOwn; ++j) own += start + j < voxels.count && voxels.label(start + j) == layer;
  room.before[0][thread] = own;
  __syncthreads();
  for (int reach = 1; reach < kSweepThreads; reach *= 2, from = 1 - from) {
    room.before[1 - from][thread] = room.before[from][thread] + (thread >= reach ? room.before[from][thread - reach] : 0);
    __syncthreads();
  }
  int to = room.before[from][thread] - own;
  for (int j = 0; j < kOwn; ++j) {
    if (start + j < voxels.count && voxels.label(start + j) == layer) room.values[to++] = voxels.value(start + j);
  }
  const int total = room.before[from][kSweepThreads - 1];
  __syncthreads();
  return total;
}

// A block is a piece. sums and counts: (pieces, layers), zero before.
template <class Voxels>
__global__ void sum_pieces(Voxels voxels, const float* bounds, const char* wanted, int layers, double* sums,
                           std::int64_t* counts) {
  __shared__ PieceRoom room;
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t first = std::int64_t{blockIdx.x} * kOrderPiece;
  room.present[thread] = 0;
  __syncthreads();
  for (std::int64_t i = first + thread; i < first + kOrderPiece && i < voxels.count; i += kSweepThreads) {
    if (voxels.label(i) < layers) atomicOr(&room.present[voxels.label(i)], 1);
  }
  __syncthreads();
  for (int layer = 0; layer < layers; ++layer) {
    if (room.present[layer] == 0 || wanted[layer] == 0) continue;
    const int total = gather_layer(voxels, first, layer, room);
    if (thread < kReduceLanes) {
      double sum = 0.0;
      int above = 0;
      for (int i = thread; i < total; i += kReduceLanes) {
        if (!(room.values[i] > bounds[layer]) || !is_finite(room.values[i])) continue;
        sum += static_cast<double>(room.values[i]);
        ++above;
      }
      room.lanes[thread] = sum;
      room.counts[thread] = above;
    }
    __syncthreads();
    if (thread == 0) {
      std::int64_t above = 0;
      for (int j = 0; j < kReduceLanes; ++j) above += room.counts[j];
      sums[std::int64_t{blockIdx.x} * layers + layer] = fold_lanes(room.lanes);
      counts[std::int64_t{blockIdx.x} * layers + layer] = above;
    }
    __syncthreads();
  }
}

// A thread has one layer of one strip.
static __global__ void sum_strips(const double* sums, const std::int64_t* counts, std::int64_t pieces,
                                  std::int64_t per_strip, std::int64_t strips, int layers, double* strip_sums,
                                  std::int64_t* strip_counts) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kSweepThreads + threadIdx.x, strip = i / layers;
  if (strip >= strips) return;
  double sum = 0.0;
  std::int64_t count = 0;
  for (std::int64_t piece = strip * per_strip; piece < (strip + 1) * per_strip && piece < pieces; ++piece) {
    sum += sums[piece * layers + i % layers];
    count += counts[piece * layers + i % layers];
  }
  strip_sums[i] = sum;
  strip_counts[i] = count;
}

}  // namespace layer_fast::impl
