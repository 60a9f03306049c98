// CPU: a coarse map read tile by tile as if it lay on the labels' grid; full-size maps are never in memory.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/map_rows.hpp"
#include "ops/map_taps.hpp"

namespace layer_fast::impl {

// The taps along x as the kernel wants them. `plan` points into the other members, so it is neither copied nor moved.
class MapRowTaps {
 public:
  MapRowTaps() = default;
  MapRowTaps(const MapRowTaps&) = delete;
  MapRowTaps& operator=(const MapRowTaps&) = delete;
  void set(MapTaps taps, int lanes);

  MapTaps taps;
  kernels::MapRowPlan plan;

 private:
  std::vector<std::int32_t> base_, low_lane_, high_lane_;
};

class MapReader {
 public:
  MapReader(const Shape3& labels, const Shape3& map, const std::optional<GridMap>& grid_map);

  // float32 values a caller must hand over as scratch to read up to `count` voxels at once.
  std::int64_t scratch_size(std::int64_t count) const;

  // Values at voxels [start, start + count) of the labels' grid: a pointer into the map where both grids are one,
  // else into `scratch`.
  const float* read(const float* map, std::int64_t start, std::int64_t count, float* scratch) const;

 private:
  void read_rows(const float* map, std::int64_t start, std::int64_t count, float* out, float* row) const;
  void read_oblique(const float* map, std::int64_t start, std::int64_t count, float* out) const;

  Shape3 labels_, map_;
  GridMap grid_map_;
  bool same_grid_ = false, aligned_ = false;
  MapTaps z_, y_;
  MapRowTaps x_;
  const kernels::MapRows& rows_;
};

}  // namespace layer_fast::impl
