// CUDA: layer_reduce with labels. The bytes are the CPU's: layer_lanes_cuda.hpp keeps its order of summation.
//
// Moved: 4 bytes a voxel and map, and one for the label, once (its other readers, one a map, meet it in the cache, as
// maps vary fastest among blocks). Limit: memory, while the additions keep up: a finite voxel costs a conversion, an
// addition and a fused square in float64. Cards with float64 at 1/64 (8.6, 8.9) are bound by these three instead. A lane
// has 1024 groups to add one after the other, 10 us or more at any size, so small volumes want several maps in a call:
// those of one scan, or a batch of scans, whose jobs stand in one launch.
// More than 16 layers are done in passes of 16, which read everything again.
#include "layer_fast/error.hpp"
#include "ops/layer_lanes_cuda.hpp"
#include "ops/layer_reduce_cuda.hpp"
#include "ops/layer_reduce_impl.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "layer_reduce";

// The 16 labels of group `lane` of a chunk; 0 where the tile has ended.
__device__ GroupLabels labels_of(const std::uint8_t* tile, int first, int voxels, bool aligned) {
  if (aligned && first + kReduceLanes <= voxels) return *reinterpret_cast<const GroupLabels*>(tile + first);
  GroupLabels out{};
  for (int i = 0; i < kReduceLanes; ++i) {
    const std::uint32_t label = first + i < voxels ? tile[first + i] : 0;
    out.words[i / 4] |= label << (8 * (i % 4));
  }
  return out;
}

struct Chunk {
  float values[kSteps];
  GroupLabels labels;
};

// One warp: two jobs, of which each is one tile of one map; blockIdx.y is the pass over layers. The next chunk is asked
// for before the last one is added.
template <int kRows, class Reader>
__global__ void sum_tiles(ReduceTask task, bool aligned, LayerPartial* parts, int* beyond) {
  __shared__ WaitingSums<kRows> waiting[kHalves];
  __shared__ StagedChunk staged[kHalves];
  __shared__ typename Reader::Shared shared;
  const int half = static_cast<int>(threadIdx.x) / kReduceLanes, lane = static_cast<int>(threadIdx.x) % kReduceLanes;
  const std::int64_t jobs = task.tiles * task.maps_n, job = std::int64_t{blockIdx.x} * kHalves + half;
  const std::int64_t known = job < jobs ? job : jobs - 1, tile = known / task.maps_n, k = known % task.maps_n;
  const std::int64_t left = task.voxels - tile * kReduceTile, size = left < kReduceTile ? left : kReduceTile;
  const TilePlace place{k, tile, job < jobs ? static_cast<int>(size) : 0, lane};
  const std::uint8_t* const labels = task.labels(k) + place.first();
  const int first_row = static_cast<int>(blockIdx.y) * kRows;
  Reader reader(task.source, shared, place);
  LayerLanes<kRows> lanes(waiting[half], staged[half], first_row, task.rows, lane);
  // The first half has a tile as long as the second's, or longer.
  const int chunks = (__shfl_sync(kWarp, place.voxels, 0) + kChunk - 1) / kChunk;
  const auto read = [&](int c) {
    Chunk chunk;
    reader.read(c, chunk.values);
    chunk.labels = labels_of(labels, c * kChunk + lane * kReduceLanes, place.voxels, aligned);
    return chunk;
  };
  Chunk now = read(0);
  for (int c = 0; c < chunks; ++c) {
    Chunk next = now;
    if (c + 1 < chunks) next = read(c + 1);
    lanes.add(now.values, now.labels, place.voxels - c * kChunk);
    now = next;
  }
  lanes.put_back();
  for (int row = 0; row < kRows && first_row + row < task.rows; ++row) {
    LayerPartial part;
    if (lanes.close(row, part) && job < jobs) parts[(k * task.tiles + tile) * task.rows + first_row + row] = part;
  }
  if (lanes.beyond() > 0) atomicMax(beyond + task.mask_of(k), lanes.beyond());
}

template <int kRows, class Reader>
void run(cuda::Queue& queue, const ReduceTask& task, LayerPartial* parts, int* beyond) {
  const auto passes = static_cast<unsigned>((task.rows + kRows - 1) / kRows);
  const bool one_mask = task.maps_n == task.maps_of_mask;
  const bool aligned = reinterpret_cast<std::uintptr_t>(task.all_labels) % alignof(GroupLabels) == 0 &&
                       (one_mask || task.voxels % alignof(GroupLabels) == 0);
  const dim3 grid(cuda::blocks_for(task.tiles * task.maps_n, kHalves), passes);
  queue.run(sum_tiles<kRows, Reader>, grid, dim3(kHalves * kReduceLanes), 0, task, aligned, parts, beyond);
}

template <class Reader>
void run_with(cuda::Queue& queue, const ReduceTask& task, LayerPartial* parts, int* beyond) {
  if (task.rows <= 8) return run<8, Reader>(queue, task, parts, beyond);  // twice as many warps fit
  run<16, Reader>(queue, task, parts, beyond);
}

void sum_all(cuda::Queue& queue, const ReduceTask& task, LayerPartial* parts, int* beyond) {
  if (task.source.kind == MapKind::dense) return run_with<DenseReader>(queue, task, parts, beyond);
  if (task.source.kind == MapKind::aligned && RowsReader::fits(task.source.nx, task.source.mx)) {
    return run_with<RowsReader>(queue, task, parts, beyond);
  }
  run_with<VoxelReader>(queue, task, parts, beyond);
}

}  // namespace

void layer_reduce_cuda(const ArrayView& maps, const ArrayView& labels, const LayerReduceOut& out,
                       const LayerReduceOptions& options) {
  cuda::Queue queue(kOp, maps, options.place.stream);
  const DeviceMap map(queue, maps.in<float>(kOp), {labels.shape[1], labels.shape[2], labels.shape[3]},
                      {maps.shape[1], maps.shape[2], maps.shape[3]}, options.grid_map);
  const std::int64_t scans = labels.shape[0], voxels = labels.size() / scans;
  const ReduceTask task{map.source, labels.in<std::uint8_t>(kOp), nullptr, voxels, (voxels + kReduceTile - 1) / kReduceTile,
                        maps.shape[0], maps.shape[0] / scans, options.num_layers + 1};
  const auto parts = queue.scratch<LayerPartial>(task.maps_n * task.tiles * task.rows);
  const auto beyond = queue.zeros<int>(scans);
  sum_all(queue, task, parts.data(), beyond.data());
  merge_tiles(queue, task, parts.data(), out);
  if (options.histogram) count_bins(queue, task, *options.histogram, out.histogram.out<std::int64_t>(kOp));
  const auto labels_beyond = queue.read(beyond.data(), scans);
  for (std::int64_t scan = 0; scan < scans; ++scan) {
    const int label = labels_beyond[static_cast<std::size_t>(scan)];
    expects(label == 0, kOp, "labels from 0 to num_layers = " + std::to_string(options.num_layers),
            "label " + std::to_string(label) + in_scan(scan, scans));
  }
  if (!options.quantiles.empty() || options.top_fraction) order_statistics_cuda(queue, task, out, options);
}

}  // namespace layer_fast::impl
