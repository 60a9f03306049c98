#include "ops/map_reader.hpp"

#include <algorithm>
#include <utility>

namespace layer_fast::impl {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

void MapRowTaps::set(MapTaps given, int lanes) {
  taps = std::move(given);
  plan = {taps.low.data(), taps.high.data(), taps.t32.data()};
  if (lanes == 1) return;
  low_lane_ = taps.low;
  high_lane_ = taps.high;
  const auto n = static_cast<std::int64_t>(taps.low.size());
  for (std::int64_t x = 0; x + lanes <= n; x += lanes) {
    const std::int32_t base = *std::min_element(&taps.low[at(x)], &taps.low[at(x)] + lanes);
    const std::int32_t top = *std::max_element(&taps.high[at(x)], &taps.high[at(x)] + lanes);
    if (top - base >= lanes) return;  // a map about as fine as the labels, or finer
    base_.push_back(base);
    for (std::int64_t i = x; i < x + lanes; ++i) {
      low_lane_[at(i)] -= base;
      high_lane_[at(i)] -= base;
    }
  }
  plan.base = base_.data();
  plan.low_lane = low_lane_.data();
  plan.high_lane = high_lane_.data();
}

MapReader::MapReader(const Shape3& labels, const Shape3& map, const std::optional<GridMap>& grid_map)
    : labels_(labels), map_(map), grid_map_(grid_map_or_default(grid_map, labels, map)), rows_(kernels::map_rows()) {
  aligned_ = is_axis_aligned(grid_map_);
  if (!aligned_) return;
  z_ = map_taps(grid_map_, 0, labels[0], map[0]);
  y_ = map_taps(grid_map_, 1, labels[1], map[1]);
  x_.set(map_taps(grid_map_, 2, labels[2], map[2]), rows_.lanes);
  same_grid_ = labels == map && is_identity(z_) && is_identity(y_) && is_identity(x_.taps);
}

std::int64_t MapReader::scratch_size(std::int64_t count) const { 
  return same_grid_ ? 0 : count + map_[2] + kernels::kMapRowSlack;
}

const float* MapReader::read(const float* map, std::int64_t start, std::int64_t count, float* scratch) const {
  if (same_grid_) return map + start;
  if (aligned_) {
    read_rows(map, start, count, scratch, scratch + count);
  } else {
    read_oblique(map, start, count, scratch);
  }
  return scratch;
}

void MapReader::read_rows(const float* map, std::int64_t start, std::int64_t count, float* out, float* row) const {
  const std::int64_t nx = labels_[2], mx = map_[2], my = map_[1];
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t line = (start + done) / nx, x = (start + done) % nx;
    const std::size_t z = at(line / labels_[1]), y = at(line % labels_[1]);
    const std::int64_t length = std::min(nx - x, count - done);
    const float* low = map + z_.low[z] * my * mx;
    const float* high = map + z_.high[z] * my * mx;
    rows_.over_zy(low + y_.low[y] * mx, low + y_.high[y] * mx, high + y_.low[y] * mx, high + y_.high[y] * mx, y_.t32[y],
                  z_.t32[z], mx, row);
    rows_.along_x(x_.plan, row, x, length, out + done);
    done += length;
  }
}

void MapReader::read_oblique(const float* map, std::int64_t start, std::int64_t count, float* out) const {
  const std::int64_t plane = map_[1] * map_[2], mx = map_[2];
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t line = (start + i) / labels_[2], x = (start + i) % labels_[2];
    const std::int64_t z = line / labels_[1], y = line % labels_[1];
    const Tap tz = make_tap(map_position(&grid_map_[0], z, y, x), map_[0]);
    const Tap ty = make_tap(map_position(&grid_map_[4], z, y, x), map_[1]);
    const Tap tx = make_tap(map_position(&grid_map_[8], z, y, x), map_[2]);
    const float* low = map + tz.low * plane;
    const float* high = map + tz.high * plane;
    const auto t_y = static_cast<float>(ty.t), t_z = static_cast<float>(tz.t);
    const auto column = [&](std::int64_t m) {
      return blend(blend(low[ty.low * mx + m], low[ty.high * mx + m], t_y),
                   blend(high[ty.low * mx + m], high[ty.high * mx + m], t_y), t_z);
    };
    out[i] = blend(column(tx.low), column(tx.high), static_cast<float>(tx.t));
  }
}

}  // namespace layer_fast::impl
