// Device: a map read at voxels of the labels' grid; full-size maps are never in memory. The float bits are the CPU's: the
// host makes the taps of aligned maps (map_taps), and both twins blend y, then z, then x.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "ops/grid_taps.hpp"

namespace layer_fast::impl {

struct DeviceTaps {
  const std::int32_t* low;
  const std::int32_t* high;
  const float* t;
};

enum class MapKind { dense, aligned, oblique };

// All maps of one call, and how the labels' grid reads them.
struct MapSource {
  const float* values;  // (K, mz, my, mx)
  std::int64_t map_voxels;
  std::int32_t nz, ny, nx, mz, my, mx;  // the labels' sizes, the map's
  MapKind kind;
  DeviceTaps z, y, x;  // aligned
  double grid[12];     // oblique
  __device__ const float* map(std::int64_t k) const { return values + k * map_voxels; }
};

// The four rows of an aligned map that one row of labels reads: at (z low, y low), (z low, y high), (z high, y low), ...
struct MapLine {
  const float *a, *b, *c, *d;
  float ty, tz;
};

__device__ inline MapLine line_of(const MapSource& source, const float* map, std::int32_t z, std::int32_t y) {
  const std::int64_t plane = std::int64_t{source.my} * source.mx;
  const float* low = map + source.z.low[z] * plane;
  const float* high = map + source.z.high[z] * plane;
  const std::int64_t y_low = std::int64_t{source.y.low[y]} * source.mx, y_high = std::int64_t{source.y.high[y]} * source.mx;
  return {low + y_low, low + y_high, high + y_low, high + y_high, source.y.t[y], source.z.t[z]};
}

__device__ inline float column_of(const MapLine& line, std::int32_t m) {
  return blend(blend(line.a[m], line.b[m], line.ty), blend(line.c[m], line.d[m], line.ty), line.tz);
}

__device__ inline float oblique_value(const MapSource& source, const float* map, std::int32_t z, std::int32_t y,
                                      std::int32_t x) {
  const Tap tz = make_tap(map_position(source.grid, z, y, x), source.mz);
  const Tap ty = make_tap(map_position(source.grid + 4, z, y, x), source.my);
  const Tap tx = make_tap(map_position(source.grid + 8, z, y, x), source.mx);
  const std::int64_t plane = std::int64_t{source.my} * source.mx;
  const float* low = map + tz.low * plane;
  const float* high = map + tz.high * plane;
  const std::int64_t y_low = std::int64_t{ty.low} * source.mx, y_high = std::int64_t{ty.high} * source.mx;
  const MapLine line{low + y_low, low + y_high, high + y_low, high + y_high, static_cast<float>(ty.t),
                     static_cast<float>(tz.t)};
  return blend(column_of(line, tx.low), column_of(line, tx.high), static_cast<float>(tx.t));
}

// One voxel of the labels' grid, by its place in memory.
__device__ inline float map_value(const MapSource& source, const float* map, std::int64_t voxel) {
  if (source.kind == MapKind::dense) return map[voxel];
  std::int32_t z, y, x;
  if (voxel <= 0xffffffffll) {  // divisions of 64 bits are several times as slow
    const auto place = static_cast<std::uint32_t>(voxel), nx = static_cast<std::uint32_t>(source.nx);
    const std::uint32_t line = place / nx, ny = static_cast<std::uint32_t>(source.ny);
    x = static_cast<std::int32_t>(place - line * nx);
    z = static_cast<std::int32_t>(line / ny);
    y = static_cast<std::int32_t>(line % ny);
  } else {
    const std::int64_t line = voxel / source.nx;
    x = static_cast<std::int32_t>(voxel % source.nx);
    z = static_cast<std::int32_t>(line / source.ny);
    y = static_cast<std::int32_t>(line % source.ny);
  }
  if (source.kind == MapKind::oblique) return oblique_value(source, map, z, y, x);
  const MapLine line = line_of(source, map, z, y);
  return blend(column_of(line, source.x.low[x]), column_of(line, source.x.high[x]), source.x.t[x]);
}

}  // namespace layer_fast::impl
