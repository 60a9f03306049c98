// A thread makes one output voxel; neighbours along x are neighbours in a warp, so rows are read and written in whole
// sectors, and what outputs share of the input comes from the caches.
#include <type_traits>

#include "ops/bspline_cuda.hpp"
#include "ops/oblique_voxel.hpp"
#include "ops/resample_impl.hpp"
#include "ops/resample_volume_cuda.hpp"
#include "ops/separable_cuda.hpp"
#include "runtime/cuda/cuda_queue.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "resample";

struct OutputMap {
  double row[12];
};

template <class T, class Out>
__global__ void pick_kernel(const T* in, Extent size, TapsView tz, TapsView ty, TapsView tx, Out* out, Extent made,
                            Epilogue epilogue) {
  for_voxels(made, [&](std::int64_t z, std::int64_t y, std::int64_t x) {
    const T value = in[(tz.index[z] * size.y + ty.index[y]) * size.x + tx.index[x]];
    Out* to = out + (z * made.y + y) * made.x + x;
    if constexpr (std::is_same_v<Out, float>) {
      *to = finished<float>(static_cast<float>(value), epilogue);
    } else {
      *to = value;
    }
  });
}

template <class T, class Out>
__global__ void oblique_kernel(const T* in, Extent size, OutputMap map, Interpolation kind, Out* out, Extent made,
                               Epilogue epilogue) {
  for_voxels(made, [&](std::int64_t z, std::int64_t y, std::int64_t x) {
    const auto tz = voxel::taps_at(voxel::mapped(map.row, z, y, x), size.z, kind);
    const auto ty = voxel::taps_at(voxel::mapped(map.row + 4, z, y, x), size.y, kind);
    const auto tx = voxel::taps_at(voxel::mapped(map.row + 8, z, y, x), size.x, kind);
    out[(z * made.y + y) * made.x + x] = finished<Out>(voxel::sum_taps(in, size.y, size.x, tz, ty, tx), epilogue);
  });
}

// ---- the host's part ----

struct Call {
  cuda::Queue& queue;
  Extent in, out;
  const ResampleOptions& options;
  Epilogue epilogue;
};

template <class T, class Out>
void pick(const Call& call, const T* in, const GridAxes& axes, Out* out) {
  const auto taps = [](const voxel::AxisMap& axis) { return interpolation_taps(axis, Interpolation::nearest, false); };
  const TapsOnDevice on_device(call.queue, taps(axes.z), taps(axes.y), taps(axes.x));
  call.queue.run(pick_kernel<T, Out>, grid_of(call.out), {kBlockX, kBlockY}, 0, in, call.in, on_device.z, on_device.y,
                 on_device.x, out, call.out, call.epilogue);
}

template <class T, class Out>
void oblique(const Call& call, const T* in, Out* out) {
  OutputMap map{};
  for (int i = 0; i < 12; ++i) map.row[i] = (*call.options.grid_map)[static_cast<std::size_t>(i)];
  call.queue.run(oblique_kernel<T, Out>, grid_of(call.out), {kBlockX, kBlockY}, 0, in, call.in, map,
                 call.options.interpolation, out, call.out, call.epilogue);
}

template <class T, class Out>
void to_type(const Call& call, const ArrayView& in, const ArrayView& workspace, Out* out,
             const std::optional<GridAxes>& axes) {
  const T* data = in.in<T>(kOp);
  const Interpolation kind = call.options.interpolation;
  if (kind == Interpolation::bspline && !axes) {
    float* coefficients = workspace.out<float>(kOp);
    bspline_prefilter_cuda(call.queue, data, coefficients, call.in);
    return oblique<float, Out>(call, coefficients, out);
  }
  if (kind == Interpolation::bspline) {
    return bspline_planes_cuda(call.queue, data, call.in, *axes, out, call.out, call.epilogue);
  }
  if (!axes) return oblique<T, Out>(call, data, out);
  if (kind == Interpolation::nearest) return pick<T, Out>(call, data, *axes, out);
  const bool antialias = call.options.antialias;
  separable_cuda(call.queue, data, call.in, interpolation_taps(axes->z, kind, antialias),
                 interpolation_taps(axes->y, kind, antialias), interpolation_taps(axes->x, kind, antialias), out,
                 call.out, call.epilogue);
}

template <class T>
void from_type(const Call& call, const ArrayView& in, const ArrayView& workspace, const ArrayView& out) {
  const std::optional<GridAxes> axes = separable_axes(in, out, call.options.grid_map);
  if (out.dtype == Dtype::f32) return to_type<T, float>(call, in, workspace, out.out<float>(kOp), axes);
  to_type<T, T>(call, in, workspace, out.out<T>(kOp), axes);
}

}  // namespace

void resample_cuda(const ArrayView& in, const ArrayView& workspace, const ArrayView& out,
                   const ResampleOptions& options) {
  cuda::Queue queue(kOp, out, options.place.stream);
  const Call call{queue, {in.shape[0], in.shape[1], in.shape[2]}, {out.shape[0], out.shape[1], out.shape[2]}, options,
                  {options.has_window, options.lo, options.hi}};
  switch (in.dtype) {
    case Dtype::u8: return from_type<std::uint8_t>(call, in, workspace, out);
    case Dtype::i16: return from_type<std::int16_t>(call, in, workspace, out);
    case Dtype::u16: return from_type<std::uint16_t>(call, in, workspace, out);
    default: return from_type<float>(call, in, workspace, out);
  }
}

}  // namespace layer_fast::impl
