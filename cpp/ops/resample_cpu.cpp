#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "ops/axis_taps.hpp"
#include "ops/bspline_prefilter.hpp"
#include "ops/oblique_voxel.hpp"
#include "ops/resample_impl.hpp"
#include "ops/separable_rows.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "resample";

// ---- from a float32 row to the output's dtype ----

void store(const float* row, std::int64_t n, const ResampleOptions& options, float* out) {
  if (!options.has_window) {
    std::copy(row, row + n, out);
    return;
  }
  const float lo = options.lo, hi = options.hi;
  for (std::int64_t x = 0; x < n; ++x) out[x] = voxel::windowed(row[x], lo, hi);
}

template <class Out>
void store(const float* row, std::int64_t n, const ResampleOptions&, Out* out) {
  constexpr auto low = static_cast<float>(std::numeric_limits<Out>::min());
  constexpr auto high = static_cast<float>(std::numeric_limits<Out>::max());
  for (std::int64_t x = 0; x < n; ++x) {
    out[x] = static_cast<Out>(static_cast<std::int32_t>(voxel::saturated(row[x], low, high)));
  }
}

// ---- traversals: body(z, y, row scratch of nx, worker) for every output row, cut into tiles by the data ----

template <class Row>
void for_rows(const ArrayView& out, int threads, Row&& row) {
  const std::int64_t nz = out.shape[0], ny = out.shape[1];
  const std::int64_t block = rows_per_tile(ny, out.shape[2]);
  const std::int64_t blocks = (ny + block - 1) / block;
  parallel_for(nz * blocks, threads, [&](std::int64_t tile, int worker) {
    const std::int64_t y0 = tile % blocks * block;
    row(tile / blocks, y0, std::min(y0 + block, ny), worker);
  });
}

// No weights: values are picked, integers stay exact.
template <class T, class Out>
void pick(const T* in, const ArrayView& in_view, const ArrayView& out_view, const GridAxes& axes,
          const ResampleOptions& options) {
  const AxisTaps tz = interpolation_taps(axes.z, Interpolation::nearest, false);
  const AxisTaps ty = interpolation_taps(axes.y, Interpolation::nearest, false);
  const AxisTaps tx = interpolation_taps(axes.x, Interpolation::nearest, false);
  Out* out = out_view.out<Out>(kOp);
  const std::int64_t ny_in = in_view.shape[1], nx_in = in_view.shape[2];
  const std::int64_t ny = out_view.shape[1], nx = out_view.shape[2];
  for_rows(out_view, resolve_threads(options.threads), [&](std::int64_t z, std::int64_t y0, std::int64_t y1, int) {
    for (std::int64_t y = y0; y < y1; ++y) {
      const T* row = in + (tz.index[static_cast<std::size_t>(z)] * ny_in + ty.index[static_cast<std::size_t>(y)]) * nx_in;
      Out* to = out + (z * ny + y) * nx;
      const std::int32_t* index = tx.index.data();
      for (std::int64_t x = 0; x < nx; ++x) to[x] = static_cast<Out>(row[index[x]]);
      if constexpr (std::is_same_v<Out, float>) {
        if (options.has_window) store(to, nx, options, to);
      }
    }
  });
}

template <class T, class Out>
void separable(const T* in, const ArrayView& in_view, const ArrayView& out_view, const GridAxes& axes,
               const ResampleOptions& options) {
  const AxisTaps tz = interpolation_taps(axes.z, options.interpolation, options.antialias);
  const AxisTaps ty = interpolation_taps(axes.y, options.interpolation, options.antialias);
  const AxisTaps tx = interpolation_taps(axes.x, options.interpolation, options.antialias).tap_major();
  const std::int64_t ny = out_view.shape[1], nx = out_view.shape[2];
  const int threads = worker_count(out_view.shape[0] * ny, resolve_threads(options.threads));
  Out* out = out_view.out<Out>(kOp);
  std::vector<SeparableRows<T>> rows(static_cast<std::size_t>(threads),
                                     SeparableRows<T>(in, in_view.shape[1], in_view.shape[2], tz, ty));
  std::vector<std::vector<float>> lines(static_cast<std::size_t>(threads),
                                        std::vector<float>(static_cast<std::size_t>(nx)));
  for_rows(out_view, threads, [&](std::int64_t z, std::int64_t y0, std::int64_t y1, int worker) {
    SeparableRows<T>& source = rows[static_cast<std::size_t>(worker)];
    float* line = lines[static_cast<std::size_t>(worker)].data();
    source.begin(z);
    for (std::int64_t y = y0; y < y1; ++y) {
      along_x(tx, source.row(y), line);
      store(line, nx, options, out + (z * ny + y) * nx);
    }
  });
}

template <class T, class Out>
void oblique(const T* in, const ArrayView& in_view, const ArrayView& out_view, const ResampleOptions& options) {
  const GridMap& map = *options.grid_map;
  const std::int64_t nz_in = in_view.shape[0], ny_in = in_view.shape[1], nx_in = in_view.shape[2];
  const std::int64_t ny = out_view.shape[1], nx = out_view.shape[2];
  const Interpolation kind = options.interpolation;
  Out* out = out_view.out<Out>(kOp);
  for_rows(out_view, resolve_threads(options.threads), [&](std::int64_t z, std::int64_t y0, std::int64_t y1, int) {
    std::vector<float> line(static_cast<std::size_t>(nx));
    for (std::int64_t y = y0; y < y1; ++y) {
      for (std::int64_t x = 0; x < nx; ++x) {
        const auto taps_z = voxel::taps_at(voxel::mapped(map.data(), z, y, x), nz_in, kind);
        const auto taps_y = voxel::taps_at(voxel::mapped(map.data() + 4, z, y, x), ny_in, kind);
        const auto taps_x = voxel::taps_at(voxel::mapped(map.data() + 8, z, y, x), nx_in, kind);
        line[static_cast<std::size_t>(x)] = voxel::sum_taps(in, ny_in, nx_in, taps_z, taps_y, taps_x);
      }
      store(line.data(), nx, options, out + (z * ny + y) * nx);
    }
  });
}

template <class T, class Out>
void run(const T* in, const ArrayView& in_view, const ArrayView& out, const ResampleOptions& options) {
  const std::optional<GridAxes> axes = separable_axes(in_view, out, options.grid_map);
  if (!axes) return oblique<T, Out>(in, in_view, out, options);
  if (options.interpolation == Interpolation::nearest) return pick<T, Out>(in, in_view, out, *axes, options);
  separable<T, Out>(in, in_view, out, *axes, options);
}

template <class T>
void from_type(const ArrayView& in, const ArrayView& workspace, const ArrayView& out, const ResampleOptions& options) {
  const bool same = out.dtype != Dtype::f32;
  if (options.interpolation == Interpolation::bspline) {
    bspline_prefilter(in, workspace, options.threads);
    const float* coefficients = workspace.in<float>(kOp);
    return same ? run<float, T>(coefficients, in, out, options) : run<float, float>(coefficients, in, out, options);
  }
  const T* data = in.in<T>(kOp);
  return same ? run<T, T>(data, in, out, options) : run<T, float>(data, in, out, options);
}

}  // namespace

void resample_cpu(const ArrayView& in, const ArrayView& workspace, const ArrayView& out,
                  const ResampleOptions& options) {
  switch (in.dtype) {
    case Dtype::u8: return from_type<std::uint8_t>(in, workspace, out, options);
    case Dtype::i16: return from_type<std::int16_t>(in, workspace, out, options);
    case Dtype::u16: return from_type<std::uint16_t>(in, workspace, out, options);
    default: return from_type<float>(in, workspace, out, options);
  }
}

}  // namespace layer_fast::impl
