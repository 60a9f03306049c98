#include "ops/axis_taps.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>

#include "kernels/bspline_rows.hpp"
#include "layer_fast/error.hpp"

namespace layer_fast::impl {
namespace {

// The taps of one output index: input index -> weight. Indices that coincide at an edge are added up.
using Row = std::map<std::int64_t, double>;

Row nearest_row(const voxel::AxisMap& axis, std::int64_t out) {
  return {{voxel::nearest_index(voxel::coordinate(axis, out), axis.n_in), 1.0}};
}

template <class Kernel, class Edge>
Row kernel_row(const voxel::AxisMap& axis, std::int64_t out, int reach, Kernel kernel, Edge edge) {
  const double x = voxel::clamped(voxel::coordinate(axis, out), axis.n_in);
  const auto base = static_cast<std::int64_t>(std::floor(x));
  Row row;
  for (std::int64_t i = base - reach + 1; i <= base + reach; ++i) {
    row[edge(i, axis.n_in)] += kernel(x - static_cast<double>(i));
  }
  return row;
}

template <class Kernel>
Row widened_row(const voxel::AxisMap& axis, std::int64_t out, int reach, Kernel kernel) {
  const double scale = voxel::shrink(axis);
  const double x = voxel::clamped(voxel::coordinate(axis, out), axis.n_in);
  const auto low = std::max<std::int64_t>(static_cast<std::int64_t>(std::ceil(x - reach * scale)), 0);
  const auto high = std::min<std::int64_t>(static_cast<std::int64_t>(std::floor(x + reach * scale)), axis.n_in - 1);
  Row row;
  double total = 0;
  for (std::int64_t i = low; i <= high; ++i) total += row[i] = kernel((static_cast<double>(i) - x) / scale);
  for (auto& [index, weight] : row) weight /= total;
  return row;
}

Row box_row(const voxel::AxisMap& axis, std::int64_t out) {
  const double size = voxel::shrink(axis);
  const double middle = voxel::coordinate(axis, out) + 0.5;  // in voxel edges: voxel i covers [i, i + 1]
  const double low = middle - size / 2;
  const double high = middle + size / 2;
  const double width = high - low;  // not `size`: next to `middle` a small one is rounded, and fractions sum to 1
  if (!(width > 0)) {               // rounded away: the box is a point of one voxel
    return {{voxel::edge_index(static_cast<std::int64_t>(std::floor(middle)), axis.n_in), 1.0}};
  }
  Row row;
  // The edge voxels cover what lies outside, so the first and the last overlap are open to that side.
  const auto first = voxel::edge_index(static_cast<std::int64_t>(std::floor(low)), axis.n_in);
  const auto last = voxel::edge_index(static_cast<std::int64_t>(std::ceil(high)) - 1, axis.n_in);
  for (std::int64_t i = first; i <= last; ++i) {
    const double from = i == 0 ? low : std::max(low, static_cast<double>(i));
    const double to = i == axis.n_in - 1 ? high : std::min(high, static_cast<double>(i + 1));
    if (to > from) row[i] = (to - from) / width;
  }
  return row;
}

// Taps of bspline on the samples themselves: the four taps on coefficients, each coefficient being the sum over the
// mirrored samples j of sqrt(3) * pole^|i - j|. What is below kNegligible of a sample is left out.
Row cardinal_row(const voxel::AxisMap& axis, std::int64_t out) {
  constexpr int kReach = 20;
  constexpr double kNegligible = 1e-8;
  const double x = voxel::clamped(voxel::coordinate(axis, out), axis.n_in);
  const auto base = static_cast<std::int64_t>(std::floor(x));
  std::array<double, 2 * kReach + 4> sums{};  // of samples base - 1 - kReach ...
  for (std::int64_t tap = 0; tap < 4; ++tap) {
    const double weight = std::sqrt(3.0) * voxel::bspline3(x - static_cast<double>(base - 1 + tap));
    double power = 1;
    for (std::int64_t d = 0; d <= kReach; ++d, power *= kernels::kBsplinePole) {
      sums[static_cast<std::size_t>(tap + kReach + d)] += weight * power;
      if (d > 0) sums[static_cast<std::size_t>(tap + kReach - d)] += weight * power;
    }
  }
  Row row;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (std::abs(sums[i]) < kNegligible) continue;
    row[voxel::mirror_index(base - 1 - kReach + static_cast<std::int64_t>(i), axis.n_in)] += sums[i];
  }
  return row;
}

AxisTaps packed(const std::vector<Row>& rows) {
  AxisTaps taps;
  for (const Row& row : rows) {
    const auto used = std::count_if(row.begin(), row.end(), [](const auto& tap) { return float(tap.second) != 0; });
    taps.width = std::max(taps.width, static_cast<int>(used));
  }
  for (const Row& row : rows) {
    int used = 0;
    for (const auto& [index, weight] : row) {
      if (static_cast<float>(weight) == 0) continue;
      taps.index.push_back(static_cast<std::int32_t>(index));
      taps.weight.push_back(static_cast<float>(weight));
      ++used;
    }
    for (; used < taps.width; ++used) {
      taps.index.push_back(taps.index.back());
      taps.weight.push_back(0);
    }
    taps.span = std::max(taps.span, static_cast<int>(row.rbegin()->first - row.begin()->first) + 1);
  }
  return taps;
}

Row interpolation_row(const voxel::AxisMap& axis, Interpolation interpolation, bool widen, std::int64_t out) {
  switch (interpolation) {
    case Interpolation::nearest: return nearest_row(axis, out);
    case Interpolation::linear:
      if (widen) return widened_row(axis, out, 1, voxel::triangle);
      return kernel_row(axis, out, 1, voxel::triangle, voxel::edge_index);
    case Interpolation::cubic:
      if (widen) return widened_row(axis, out, 2, voxel::catmull_rom);
      return kernel_row(axis, out, 2, voxel::catmull_rom, voxel::edge_index);
    case Interpolation::bspline: return kernel_row(axis, out, 2, voxel::bspline3, voxel::mirror_index);
  }
  return {};
}

}  // namespace

AxisTaps interpolation_taps(const voxel::AxisMap& axis, Interpolation interpolation, bool antialias) {
  const bool widen = antialias && voxel::shrink(axis) > 1;
  std::vector<Row> rows(static_cast<std::size_t>(axis.n_out));
  for (std::int64_t out = 0; out < axis.n_out; ++out) {
    rows[static_cast<std::size_t>(out)] = interpolation_row(axis, interpolation, widen, out);
  }
  return packed(rows);
}

AxisTaps cardinal_taps(const voxel::AxisMap& axis) {
  std::vector<Row> rows(static_cast<std::size_t>(axis.n_out));
  for (std::int64_t out = 0; out < axis.n_out; ++out) rows[static_cast<std::size_t>(out)] = cardinal_row(axis, out);
  return packed(rows);
}

AxisTaps box_taps(const voxel::AxisMap& axis) {
  std::vector<Row> rows(static_cast<std::size_t>(axis.n_out));
  for (std::int64_t out = 0; out < axis.n_out; ++out) rows[static_cast<std::size_t>(out)] = box_row(axis, out);
  return packed(rows);
}

std::optional<GridAxes> separable_axes(const ArrayView& in, const ArrayView& out, const std::optional<GridMap>& map,
                                       int first_in, int first_out) {
  std::array<voxel::AxisMap, 3> axes;
  for (std::size_t a = 0; a < 3; ++a) {
    axes[a].n_in = in.shape[a + static_cast<std::size_t>(first_in)];
    axes[a].n_out = out.shape[a + static_cast<std::size_t>(first_out)];
    if (!map) continue;
    for (std::size_t b = 0; b < 3; ++b) {
      if (a != b && (*map)[4 * a + b] != 0) return std::nullopt;
    }
    axes[a].half_pixel = false;
    axes[a].scale = (*map)[5 * a];
    axes[a].offset = (*map)[4 * a + 3];
  }
  return GridAxes{axes[0], axes[1], axes[2]};
}

void check_grid_map(const char* op, const std::optional<GridMap>& map) {
  if (!map) return;
  const bool numbers = std::all_of(map->begin(), map->end(), [](double v) { return std::abs(v) < 1e9; });
  const bool affine = (*map)[12] == 0 && (*map)[13] == 0 && (*map)[14] == 0 && (*map)[15] == 1;
  expects(numbers && affine, op, "grid_map as an affine 4 x 4 matrix of numbers below 1e9", "another");
}

}  // namespace layer_fast::impl
