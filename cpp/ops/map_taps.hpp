// Host: how a coarse map lies on the labels' grid, axis by axis. Both twins read it so.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "layer_fast/resample.hpp"
#include "ops/grid_taps.hpp"

namespace layer_fast::impl {

using Shape3 = std::array<std::int64_t, 3>;

// The taps of one axis for every index of the labels' grid.
struct MapTaps {
  std::vector<std::int32_t> low, high;
  std::vector<double> t;
  std::vector<float> t32;
};

// The half-pixel formula as a matrix, or the caller's own.
GridMap grid_map_or_default(const std::optional<GridMap>& given, const Shape3& labels, const Shape3& map);

bool is_axis_aligned(const GridMap& map);

MapTaps map_taps(const GridMap& map, int axis, std::int64_t n_labels, std::int64_t n_map);

// Does every voxel read its own number, and no other?
bool is_identity(const MapTaps& taps);

}  // namespace layer_fast::impl
