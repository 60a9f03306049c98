// CUDA: layer_reduce with soft weights. Every voxel is in every layer, so a layer of a tile of a map is a job of its own:
// sixteen lanes with their sums in registers, added in the CPU's order. Moved: 4 bytes a voxel, layer and map for the
// weights and as much for the map, whose other readers (one a layer, next to each other) meet it in the cache.
#include <algorithm>

#include "layer_fast/error.hpp"
#include "ops/layer_lanes_cuda.hpp"
#include "ops/layer_reduce_cuda.hpp"
#include "ops/layer_reduce_impl.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "layer_reduce";

struct WeightedLane {
  double pos = 0.0, neg = 0.0, sq = 0.0, weight = 0.0;
  LaneRange range;
  bool good = true;

  // What add_weighted does on the CPU.
  __device__ void add(float value, float given) {
    good = good && given >= 0.0f && is_finite(given);
    if (!(given > 0.0f)) return;
    if (!is_finite(value)) {
      ++range.holes;
      return;
    }
    const double wide = value, w = given;
    pos += w * positive_part(wide);
    neg += w * negative_part(wide);
    sq += w * (wide * wide);
    weight += w;
    range.add(value);
  }

  // What all lanes have, in lane 0's.
  __device__ LayerPartial merged() const {
    LayerPartial part = empty_partial();
    part.pos = folded(pos);
    part.neg = folded(neg);
    part.sq = folded(sq);
    part.weight = folded(weight);
    fold_range(range, part);
    return part;
  }
};

template <class Reader>
__global__ void sum_weighted_tiles(ReduceTask task, LayerPartial* parts, int* bad) {
  __shared__ typename Reader::Shared shared;
  const int half = static_cast<int>(threadIdx.x) / kReduceLanes, lane = static_cast<int>(threadIdx.x) % kReduceLanes;
  const std::int64_t jobs = task.tiles * task.maps_n * task.rows, job = std::int64_t{blockIdx.x} * kHalves + half;
  const std::int64_t known = job < jobs ? job : jobs - 1, row = known % task.rows, k = known / task.rows % task.maps_n;
  const std::int64_t tile = known / task.rows / task.maps_n, left = task.voxels - tile * kReduceTile;
  const int size = static_cast<int>(left < kReduceTile ? left : kReduceTile);
  const TilePlace place{k, tile, job < jobs ? size : 0, lane};
  Reader reader(task.source, shared, place);
  DenseReader weights(task.weights(k, row), place);
  WeightedLane sums;
  const int chunks = (__shfl_sync(kWarp, place.voxels, 0) + kChunk - 1) / kChunk;
  for (int c = 0; c < chunks; ++c) {
    float values[kSteps], own[kSteps];
    weights.read(c, own);
    reader.read(c, values);
#pragma unroll
    for (int g = 0; g < kSteps; ++g) {
      if (c * kChunk + g * kReduceLanes + lane < place.voxels) sums.add(values[g], own[g]);
    }
  }
  const LayerPartial part = sums.merged();
  if (lane == 0 && job < jobs) parts[(k * task.tiles + tile) * task.rows + row] = part;
  if (!sums.good) atomicMax(bad + task.mask_of(k), 1);
}

template <class Reader>
void run(cuda::Queue& queue, const ReduceTask& task, LayerPartial* parts, int* bad) {
  const dim3 grid(cuda::blocks_for(task.tiles * task.maps_n * task.rows, kHalves));
  queue.run(sum_weighted_tiles<Reader>, grid, dim3(kHalves * kReduceLanes), 0, task, parts, bad);
}

}  // namespace

void layer_reduce_weighted_cuda(const ArrayView& maps, const ArrayView& weights, const LayerReduceOut& out,
                                const LayerReduceOptions& options) {
  cuda::Queue queue(kOp, maps, options.place.stream);
  const DeviceMap map(queue, maps.in<float>(kOp), {weights.shape[2], weights.shape[3], weights.shape[4]},
                      {maps.shape[1], maps.shape[2], maps.shape[3]}, options.grid_map);
  const std::int64_t scans = weights.shape[0], voxels = weights.size() / scans / weights.shape[1];
  const ReduceTask task{map.source, nullptr, weights.in<float>(kOp), voxels, (voxels + kReduceTile - 1) / kReduceTile,
                        maps.shape[0], maps.shape[0] / scans, options.num_layers + 1};
  const auto parts = queue.scratch<LayerPartial>(task.maps_n * task.tiles * task.rows);
  const auto bad = queue.zeros<int>(scans);
  const bool rows = map.source.kind == MapKind::aligned && RowsReader::fits(map.source.nx, map.source.mx);
  if (map.source.kind == MapKind::dense) {
    run<DenseReader>(queue, task, parts.data(), bad.data());
  } else if (rows) {
    run<RowsReader>(queue, task, parts.data(), bad.data());
  } else {
    run<VoxelReader>(queue, task, parts.data(), bad.data());
  }
  merge_tiles(queue, task, parts.data(), out);
  const auto found = queue.read(bad.data(), scans);
  const auto scan = std::find(found.begin(), found.end(), 1) - found.begin();
  expects(scan == scans, kOp, "finite weights of 0 or more", "a negative, NaN or infinite one" + in_scan(scan, scans));
}

}  // namespace layer_fast::impl
