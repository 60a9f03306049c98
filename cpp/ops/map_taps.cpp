#include "ops/map_taps.hpp"

namespace layer_fast::impl {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

GridMap grid_map_or_default(const std::optional<GridMap>& given, const Shape3& labels, const Shape3& map) {
  if (given) return *given;
  GridMap out{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double scale = static_cast<double>(map[axis]) / static_cast<double>(labels[axis]);
    out[5 * axis] = scale;
    out[4 * axis + 3] = 0.5 * scale - 0.5;
  }
  out[15] = 1.0;
  return out;
}

bool is_axis_aligned(const GridMap& map) {
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t column = 0; column < 3; ++column) {
      if (row != column && map[4 * row + column] != 0.0) return false;
    }
  }
  return true;
}

MapTaps map_taps(const GridMap& map, int axis, std::int64_t n_labels, std::int64_t n_map) {
  const double* row = &map[at(4 * axis)];
  MapTaps taps;
  for (std::int64_t i = 0; i < n_labels; ++i) {
    const Tap tap = make_tap(row[axis] * static_cast<double>(i) + row[3], n_map);
    taps.low.push_back(tap.low);
    taps.high.push_back(tap.high);
    taps.t.push_back(tap.t);
    taps.t32.push_back(static_cast<float>(tap.t));
  }
  return taps;
}

bool is_identity(const MapTaps& taps) {
  for (std::size_t i = 0; i < taps.low.size(); ++i) {
    if (taps.low[i] != static_cast<std::int32_t>(i) || taps.t[i] != 0.0) return false;
  }
  return true;
}

}  // namespace layer_fast::impl
