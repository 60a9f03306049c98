#include "ops/axis_taps.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>

#include "kernels/bspline_rows.hpp"
#include "layer_fast/error.hpp"

namespace layer_fast::impl {
namespace {

struct Tap {
  std::int64_t index;
  double weight;
};

// The taps of all output indices, one after the other; those of one are sorted by input index. Flat, because a GPU is
// done with a volume in the time that a thousand small allocations take.
class Rows {
 public:
  // A tap of the last row; indices that coincide at an edge are added up.
  void add(std::int64_t index, double weight) {
    auto at = taps_.end();
    const auto first = taps_.begin() + static_cast<std::ptrdiff_t>(begin_);
    while (at != first && (at - 1)->index > index) --at;
    if (at != first && (at - 1)->index == index) {
      (at - 1)->weight += weight;
    } else {
      taps_.insert(at, {index, weight});
    }
  }
  void close() {
    begin_ = taps_.size();
    ends_.push_back(begin_);
  }
  std::size_t size() const { return ends_.size(); }
  std::span<Tap> last() { return std::span(taps_).subspan(begin_); }
  std::span<const Tap> operator[](std::size_t row) const {
    const std::size_t begin = row == 0 ? 0 : ends_[row - 1];
    return std::span(taps_).subspan(begin, ends_[row] - begin);
  }

 private:
  std::vector<Tap> taps_;
  std::vector<std::size_t> ends_;
  std::size_t begin_ = 0;
};

void nearest_row(const voxel::AxisMap& axis, std::int64_t out, Rows& rows) {
  rows.add(voxel::nearest_index(voxel::coordinate(axis, out), axis.n_in), 1.0);
}

template <class Kernel, class Edge>
void kernel_row(const voxel::AxisMap& axis, std::int64_t out, int reach, Kernel kernel, Edge edge, Rows& rows) {
  const double x = voxel::clamped(voxel::coordinate(axis, out), axis.n_in);
  const auto base = static_cast<std::int64_t>(std::floor(x));
  for (std::int64_t i = base - reach + 1; i <= base + reach; ++i) {
    rows.add(edge(i, axis.n_in), kernel(x - static_cast<double>(i)));
  }
}

template <class Kernel>
void widened_row(const voxel::AxisMap& axis, std::int64_t out, int reach, Kernel kernel, Rows& rows) {
  const double scale = voxel::shrink(axis);
  const double x = voxel::clamped(voxel::coordinate(axis, out), axis.n_in);
  const auto low = std::max<std::int64_t>(static_cast<std::int64_t>(std::ceil(x - reach * scale)), 0);
  const auto high = std::min<std::int64_t>(static_cast<std::int64_t>(std::floor(x + reach * scale)), axis.n_in - 1);
  double total = 0;
  for (std::int64_t i = low; i <= high; ++i) {
    const double weight = kernel((static_cast<double>(i) - x) / scale);
    rows.add(i, weight);
    total += weight;
  }
  for (Tap& tap : rows.last()) tap.weight /= total;
}

void box_row(const voxel::AxisMap& axis, std::int64_t out, Rows& rows) {
  const double size = voxel::shrink(axis);
  const double middle = voxel::coordinate(axis, out) + 0.5;  // in voxel edges: voxel i covers [i, i + 1]
  const double low = middle - size / 2;
  const double high = middle + size / 2;
  const double width = high - low;  // not `size`: next to `middle` a small one is rounded, and fractions sum to 1
  if (!(width > 0)) {               // rounded away: the box is a point of one voxel
    return rows.add(voxel::edge_index(static_cast<std::int64_t>(std::floor(middle)), axis.n_in), 1.0);
  }
  // The edge voxels cover what lies outside, so the first and the last overlap are open to that side.
  const auto first = voxel::edge_index(static_cast<std::int64_t>(std::floor(low)), axis.n_in);
  const auto last = voxel::edge_index(static_cast<std::int64_t>(std::ceil(high)) - 1, axis.n_in);
  for (std::int64_t i = first; i <= last; ++i) {
    const double from = i == 0 ? low : std::max(low, static_cast<double>(i));
    const double to = i == axis.n_in - 1 ? high : std::min(high, static_cast<double>(i + 1));
    if (to > from) rows.add(i, (to - from) / width);
  }
}

// Taps of bspline on the samples themselves: the four taps on coefficients, each coefficient being the sum over the
// mirrored samples j of sqrt(3) * pole^|i - j|. What is below kNegligible of a sample is left out.
void cardinal_row(const voxel::AxisMap& axis, std::int64_t out, Rows& rows) {
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
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (std::abs(sums[i]) < kNegligible) continue;
    rows.add(voxel::mirror_index(base - 1 - kReach + static_cast<std::int64_t>(i), axis.n_in), sums[i]);
  }
}

AxisTaps packed(const Rows& rows) {
  AxisTaps taps;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto used = std::ranges::count_if(rows[r], [](const Tap& tap) { return static_cast<float>(tap.weight) != 0; });
    taps.width = std::max(taps.width, static_cast<int>(used));
  }
  taps.index.reserve(rows.size() * static_cast<std::size_t>(taps.width));
  taps.weight.reserve(taps.index.capacity());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    int used = 0;
    for (const Tap& tap : rows[r]) {
      if (static_cast<float>(tap.weight) == 0) continue;
      taps.index.push_back(static_cast<std::int32_t>(tap.index));
      taps.weight.push_back(static_cast<float>(tap.weight));
      ++used;
    }
    for (; used < taps.width; ++used) {
      taps.index.push_back(taps.index.back());
      taps.weight.push_back(0);
    }
    taps.span = std::max(taps.span, static_cast<int>(rows[r].back().index - rows[r].front().index) + 1);
  }
  return taps;
}

void interpolation_row(const voxel::AxisMap& axis, Interpolation interpolation, bool widen, std::int64_t out,
                       Rows& rows) {
  switch (interpolation) {
    case Interpolation::nearest: return nearest_row(axis, out, rows);
    case Interpolation::linear:
      if (widen) return widened_row(axis, out, 1, voxel::triangle, rows);
      return kernel_row(axis, out, 1, voxel::triangle, voxel::edge_index, rows);
    case Interpolation::cubic:
      if (widen) return widened_row(axis, out, 2, voxel::catmull_rom, rows);
      return kernel_row(axis, out, 2, voxel::catmull_rom, voxel::edge_index, rows);
    case Interpolation::bspline: return kernel_row(axis, out, 2, voxel::bspline3, voxel::mirror_index, rows);
  }
}

// row(out, rows) adds the taps of one output index.
template <class RowOf>
AxisTaps taps_of(const voxel::AxisMap& axis, RowOf row) {
  Rows rows;
  for (std::int64_t out = 0; out < axis.n_out; ++out) {
    row(out, rows);
    rows.close();
  }
  return packed(rows);
}

}  // namespace

AxisTaps interpolation_taps(const voxel::AxisMap& axis, Interpolation interpolation, bool antialias) {
  const bool widen = antialias && voxel::shrink(axis) > 1;
  return taps_of(axis, [&](std::int64_t out, Rows& rows) { interpolation_row(axis, interpolation, widen, out, rows); });
}

AxisTaps cardinal_taps(const voxel::AxisMap& axis) {
  return taps_of(axis, [&](std::int64_t out, Rows& rows) { cardinal_row(axis, out, rows); });
}

AxisTaps box_taps(const voxel::AxisMap& axis) {
  return taps_of(axis, [&](std::int64_t out, Rows& rows) { box_row(axis, out, rows); });
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
