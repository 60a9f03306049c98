#include <algorithm>
#include <type_traits>
#include <vector>

#include "ops/axis_taps.hpp"
#include "ops/bspline_prefilter.hpp"
#include "ops/oblique_voxel.hpp"
#include "ops/resample_impl.hpp"
#include "ops/separable_rows.hpp"
#include "ops/x_plan.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "resample";

// A float32 row into the output's dtype, and where the x pass may write it.
class Writer {
 public:
  Writer(const ArrayView& out, const ResampleOptions& options)
      : dtype_(out.dtype), item_(static_cast<std::int64_t>(dtype_size(out.dtype))), options_(options),
        data_(out.dtype == Dtype::f32 ? reinterpret_cast<char*>(out.out<float>(kOp)) : writable_bytes(out)) {}

  char* at(std::int64_t voxel) const { return data_ + voxel * item_; }
  // Where row `voxel` is to be computed: in place for float32, else in `line`.
  float* target(std::int64_t voxel, float* line) const {
    return dtype_ == Dtype::f32 ? reinterpret_cast<float*>(at(voxel)) : line;
  }
  void finish(float* row, std::int64_t n, std::int64_t voxel) const {
    switch (dtype_) {
      case Dtype::u8: return rows_.to_u8(row, n, at(voxel));
      case Dtype::i16: return rows_.to_i16(row, n, at(voxel));
      case Dtype::u16: return rows_.to_u16(row, n, at(voxel));
      default: break;
    }
    if (options_.has_window) rows_.window(row, n, options_.lo, options_.hi);
  }

 private:
  static char* writable_bytes(const ArrayView& out) {
    switch (out.dtype) {
      case Dtype::u8: return reinterpret_cast<char*>(out.out<std::uint8_t>(kOp));
      case Dtype::i16: return reinterpret_cast<char*>(out.out<std::int16_t>(kOp));
      default: return reinterpret_cast<char*>(out.out<std::uint16_t>(kOp));
    }
  }

  const kernels::ResampleRows& rows_ = kernels::resample_rows();
  Dtype dtype_;
  std::int64_t item_;
  const ResampleOptions& options_;
  char* data_;
};

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
  const int threads = worker_count(out.shape[0] * ny, resolve_threads(options.threads));
  const Writer writer(out, options);
  std::vector<SeparableRows> rows(static_cast<std::size_t>(threads),
                                  SeparableRows(in, dtype, in_view.shape[1], in_view.shape[2], tz, ty));
  std::vector<std::vector<float>> lines(static_cast<std::size_t>(threads),
                                        std::vector<float>(static_cast<std::size_t>(nx)));
  for_rows(out, threads, [&](std::int64_t z, std::int64_t y0, std::int64_t y1, int worker) {
    SeparableRows& source = rows[static_cast<std::size_t>(worker)];
    source.begin(z);
    for (std::int64_t y = y0; y < y1; ++y) {
      const std::int64_t voxel = (z * ny + y) * nx;
      float* row = writer.target(voxel, lines[static_cast<std::size_t>(worker)].data());
      along_x(source.row(y), row);
      writer.finish(row, nx, voxel);
    }
  });
}

template <class T>
void oblique(const T* in, const ArrayView& in_view, const ArrayView& out, const ResampleOptions& options) {
  const GridMap& map = *options.grid_map;
  const std::int64_t nz_in = in_view.shape[0], ny_in = in_view.shape[1], nx_in = in_view.shape[2];
  const std::int64_t ny = out.shape[1], nx = out.shape[2];
  const Interpolation kind = options.interpolation;
  const Writer writer(out, options);
  for_rows(out, resolve_threads(options.threads), [&](std::int64_t z, std::int64_t y0, std::int64_t y1, int) {
    std::vector<float> line(static_cast<std::size_t>(nx));
    for (std::int64_t y = y0; y < y1; ++y) {
      const std::int64_t voxel = (z * ny + y) * nx;
      float* row = writer.target(voxel, line.data());
      for (std::int64_t x = 0; x < nx; ++x) {
        const auto taps_z = voxel::taps_at(voxel::mapped(map.data(), z, y, x), nz_in, kind);
        const auto taps_y = voxel::taps_at(voxel::mapped(map.data() + 4, z, y, x), ny_in, kind);
        const auto taps_x = voxel::taps_at(voxel::mapped(map.data() + 8, z, y, x), nx_in, kind);
        row[x] = voxel::sum_taps(in, ny_in, nx_in, taps_z, taps_y, taps_x);
      }
      writer.finish(row, nx, voxel);
    }
  });
}

template <class T>
void from_type(const ArrayView& in, const ArrayView& workspace, const ArrayView& out, const ResampleOptions& options) {
  const std::optional<GridAxes> axes = separable_axes(in, out, options.grid_map);
  if (options.interpolation == Interpolation::bspline) {
    bspline_prefilter(in, workspace, options.threads);
    const float* coefficients = workspace.in<float>(kOp);
    return axes ? separable(coefficients, Dtype::f32, in, out, *axes, options)
                : oblique(coefficients, in, out, options);
  }
  const T* data = in.in<T>(kOp);
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
