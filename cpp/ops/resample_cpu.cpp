#include <algorithm>
#include <type_traits>
#include <vector>

#include "kernels/oblique_rows.hpp"
#include "ops/axis_taps.hpp"
#include "ops/bspline_planes.hpp"
#include "ops/bspline_prefilter.hpp"
#include "ops/float_writer.hpp"
#include "ops/oblique_voxel.hpp"
#include "ops/resample_impl.hpp"
#include "ops/row_stream.hpp"
#include "ops/separable_rows.hpp"
#include "ops/x_plan.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "resample";

kernels::ObliqueRows::Linear oblique_linear(Dtype dtype) {
  const kernels::ObliqueRows& rows = kernels::oblique_rows();
  switch (dtype) {
    case Dtype::u8: return rows.linear_u8;
    case Dtype::i16: return rows.linear_i16;
    case Dtype::u16: return rows.linear_u16;
    default: return rows.linear_f32;
  }
}

// ---- traversals: row(z, y0, y1, worker) for runs of output rows, cut into tiles by the data ----

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
  const BytePick bytes(tx, in_view.shape[2]);
  Out* out = out_view.out<Out>(kOp);
  const std::int64_t ny_in = in_view.shape[1], nx_in = in_view.shape[2];
  const std::int64_t ny = out_view.shape[1], nx = out_view.shape[2];
  const auto row_of = [&](std::int64_t z, std::int64_t y) {
    return in + (tz.index[static_cast<std::size_t>(z)] * ny_in + ty.index[static_cast<std::size_t>(y)]) * nx_in;
  };
  for_rows(out_view, resolve_threads(options.place.threads), [&](std::int64_t z, std::int64_t y0, std::int64_t y1, int) {
    for (std::int64_t y = y0; y < y1; ++y) {
      const T* row = row_of(z, y);
      Out* to = out + (z * ny + y) * nx;
      if constexpr (sizeof(Out) == 1) {
        if (bytes.near()) {
          bytes(row, row_of(z, std::min(y + 1, ny - 1)), to);
          continue;
        }
      }
      const std::int32_t* index = tx.index.data();
      for (std::int64_t x = 0; x < nx; ++x) to[x] = static_cast<Out>(row[index[x]]);
      if constexpr (std::is_same_v<Out, float>) {
        if (options.has_window) kernels::resample_rows().window(to, nx, options.lo, options.hi);
      }
    }
  });
}

void separable(const void* in, Dtype dtype, const ArrayView& in_view, const ArrayView& out, const GridAxes& axes,
               const ResampleOptions& options) {
  const AxisTaps tz = interpolation_taps(axes.z, options.interpolation, options.antialias);
  const AxisTaps ty = interpolation_taps(axes.y, options.interpolation, options.antialias);
  const XPass along_x(interpolation_taps(axes.x, options.interpolation, options.antialias));
  const std::int64_t ny = out.shape[1], nx = out.shape[2];
  const int threads = worker_count(out.shape[0] * ny, resolve_threads(options.place.threads));
  const FloatWriter writer(out, options);
  std::vector<SeparableRows> rows(static_cast<std::size_t>(threads),
                                  SeparableRows(in, dtype, in_view.shape[1], in_view.shape[2], tz, ty));
  const bool streamed = out.dtype == Dtype::f32 && past_the_cache(out.size() * 4);
  std::vector<RowStream> lines(static_cast<std::size_t>(threads), RowStream(nx));
  for_rows(out, threads, [&](std::int64_t z, std::int64_t y0, std::int64_t y1, int worker) {
    SeparableRows& source = rows[static_cast<std::size_t>(worker)];
    RowStream& line = lines[static_cast<std::size_t>(worker)];
    source.begin(z);
    if (streamed) line.begin(reinterpret_cast<float*>(writer.at((z * ny + y0) * nx)));
    for (std::int64_t y = y0; y < y1; ++y) {
      const std::int64_t voxel = (z * ny + y) * nx;
      float* row = streamed ? line.row() : writer.target(voxel, line.row());
      along_x(source.row(y), row);
      writer.finish(row, nx, voxel);
      if (streamed) line.commit(nx);
    }
    if (streamed) line.end();
  });
}

template <class T>
void oblique_row(const T* in, const ArrayView& in_view, const GridMap& map, Interpolation kind, std::int64_t z,
                 std::int64_t y, std::int64_t nx, float* row) {
  const std::int64_t nz_in = in_view.shape[0], ny_in = in_view.shape[1], nx_in = in_view.shape[2];
  for (std::int64_t x = 0; x < nx; ++x) {
    const auto taps_z = voxel::taps_at(voxel::mapped(map.data(), z, y, x), nz_in, kind);
    const auto taps_y = voxel::taps_at(voxel::mapped(map.data() + 4, z, y, x), ny_in, kind);
    const auto taps_x = voxel::taps_at(voxel::mapped(map.data() + 8, z, y, x), nx_in, kind);
    row[x] = voxel::sum_taps(in, ny_in, nx_in, taps_z, taps_y, taps_x);
  }
}

template <class T>
void oblique(const T* in, const ArrayView& in_view, const ArrayView& out, const ResampleOptions& options) {
  const std::int64_t ny = out.shape[1], nx = out.shape[2];
  const FloatWriter writer(out, options);
  const kernels::ObliqueRows::Linear linear = oblique_linear(DtypeOf<T>::value);
  const bool fast = options.interpolation == Interpolation::linear && in_view.shape[2] > 1;
  const kernels::ObliqueVolume volume{in, in_view.shape[0], in_view.shape[1], in_view.shape[2],
                                      options.grid_map->data()};
  for_rows(out, resolve_threads(options.place.threads), [&](std::int64_t z, std::int64_t y0, std::int64_t y1, int) {
    std::vector<float> line(static_cast<std::size_t>(nx));
    for (std::int64_t y = y0; y < y1; ++y) {
      const std::int64_t voxel = (z * ny + y) * nx;
      float* row = writer.target(voxel, line.data());
      if (fast) {
        linear(volume, z, y, nx, row);
      } else {
        oblique_row(in, in_view, *options.grid_map, options.interpolation, z, y, nx, row);
      }
      writer.finish(row, nx, voxel);
    }
  });
}

template <class T>
void from_type(const ArrayView& in, const ArrayView& workspace, const ArrayView& out, const ResampleOptions& options) {
  const std::optional<GridAxes> axes = separable_axes(in, out, options.grid_map);
  const T* data = in.in<T>(kOp);
  if (options.interpolation == Interpolation::bspline) {
    if (axes) return bspline_planes(in, out, *axes, options);
    bspline_prefilter(in, workspace, options.place.threads);
    return oblique(workspace.in<float>(kOp), in, out, options);
  }
  if (!axes) return oblique(data, in, out, options);
  if (options.interpolation != Interpolation::nearest) return separable(data, in.dtype, in, out, *axes, options);
  out.dtype == Dtype::f32 ? pick<T, float>(data, in, out, *axes, options) : pick<T, T>(data, in, out, *axes, options);
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
