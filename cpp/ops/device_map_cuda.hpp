// Host: the taps of a coarse map, made as the CPU makes them, brought to the device for one call.
#pragma once

#include <algorithm>

#include "layer_fast/array.hpp"
#include "ops/map_source_cuda.hpp"
#include "ops/map_taps.hpp"
#include "runtime/cuda/cuda_queue.hpp"

namespace layer_fast::impl {

// Keeps the taps alive; `source` is what kernels take.
class DeviceMap {
 public:
  DeviceMap(cuda::Queue& queue, const float* values, const Shape3& labels, const Shape3& map,
            const std::optional<GridMap>& grid_map) {
    const GridMap grid = grid_map_or_default(grid_map, labels, map);
    source.values = values;
    source.map_voxels = map[0] * map[1] * map[2];
    std::int32_t* const sizes[] = {&source.nz, &source.ny, &source.nx, &source.mz, &source.my, &source.mx};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      *sizes[axis] = static_cast<std::int32_t>(labels[axis]);
      *sizes[3 + axis] = static_cast<std::int32_t>(map[axis]);
    }
    std::copy(grid.begin(), grid.begin() + 12, source.grid);
    source.kind = MapKind::oblique;
    if (!is_axis_aligned(grid)) return;
    const MapTaps z = map_taps(grid, 0, labels[0], map[0]), y = map_taps(grid, 1, labels[1], map[1]),
                  x = map_taps(grid, 2, labels[2], map[2]);
    source.kind = labels == map && is_identity(z) && is_identity(y) && is_identity(x) ? MapKind::dense : MapKind::aligned;
    if (source.kind == MapKind::dense) return;
    upload(queue, {&z, &y, &x});
  }

  MapSource source{};

 private:
  // All taps in two copies.
  void upload(cuda::Queue& queue, const std::vector<const MapTaps*>& axes) {
    std::vector<std::int32_t> indices;
    std::vector<float> weights;
    for (const MapTaps* axis : axes) {
      indices.insert(indices.end(), axis->low.begin(), axis->low.end());
      indices.insert(indices.end(), axis->high.begin(), axis->high.end());
      weights.insert(weights.end(), axis->t32.begin(), axis->t32.end());
    }
    indices_ = queue.upload(indices);
    weights_ = queue.upload(weights);
    const std::int32_t* index = indices_.data();
    const float* weight = weights_.data();
    DeviceTaps* const taps[] = {&source.z, &source.y, &source.x};
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const auto n = static_cast<std::int64_t>(axes[axis]->low.size());
      *taps[axis] = {index, index + n, weight};
      index += 2 * n;
      weight += n;
    }
  }

  cuda::Scratch<std::int32_t> indices_;
  cuda::Scratch<float> weights_;
};

}  // namespace layer_fast::impl
