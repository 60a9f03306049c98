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
                            Epilogue epilogue, std::int64_t scans) {
  for_scans_voxels(scans, made, [&](std::int64_t scan, std::int64_t z, std::int64_t y, std::int64_t x) {
    const T value = in[((scan * size.z + tz.index[z]) * size.y + ty.index[y]) * size.x + tx.index[x]];
    Out* to = out + ((scan * made.z + z) * made.y + y) * made.x + x;
    if constexpr (std::is_same_v<Out, float>) {
      *to = finished<float>(static_cast<float>(value), epilogue);
    } else {
      *to = value;
    }
  });
}

template <class T, class Out>
__global__ void oblique_kernel(const T* in, Extent size, OutputMap map, Interpolation kind, Out* out, Extent made,
                               Epilogue epilogue, std::int64_t scans) {
  for_scans_voxels(scans, made, [&](std::int64_t scan, std::int64_t z, std::int64_t y, std::int64_t x) {
    const auto tz = voxel::taps_at(voxel::mapped(map.row, z, y, x), size.z, kind);
    const auto ty = voxel::taps_at(voxel::mapped(map.row + 4, z, y, x), size.y, kind);
    const auto tx = voxel::taps_at(voxel::mapped(map.row + 8, z, y, x), size.x, kind);
    const float value = voxel::sum_taps(in + scan * size.z * size.y * size.x, size.y, size.x, tz, ty, tx);
    out[((scan * made.z + z) * made.y + y) * made.x + x] = finished<Out>(value, epilogue);
  });
}

// ---- the host's part ----

struct Call {
  cuda::Queue& queue;
  std::int64_t scans;
  Extent in, out;  // of a scan
  const ResampleOptions& options;
  Epilogue epilogue;
};

std::int64_t volume_of(const Extent& size) { return size.z * size.y * size.x; }

dim3 grid_of(const Call& call) { return grid_of(Extent{call.scans * call.out.z, call.out.y, call.out.x}); }

template <class T, class Out>
void pick(const Call& call, const T* in, const GridAxes& axes, Out* out) {
  const auto taps = [](const voxel::AxisMap& axis) { return interpolation_taps(axis, Interpolation::nearest, false); };
  const TapsOnDevice on_device(call.queue, taps(axes.z), taps(axes.y), taps(axes.x));
  call.queue.run(pick_kernel<T, Out>, grid_of(call), {kBlockX, kBlockY}, 0, in, call.in, on_device.z, on_device.y,
                 on_device.x, out, call.out, call.epilogue, call.scans);
}

template <class T, class Out>
void oblique(const Call& call, const T* in, Out* out) {
  OutputMap map{};
  for (int i = 0; i < 12; ++i) map.row[i] = (*call.options.grid_map)[static_cast<std::size_t>(i)];
  call.queue.run(oblique_kernel<T, Out>, grid_of(call), {kBlockX, kBlockY}, 0, in, call.in, map,
                 call.options.interpolation, out, call.out, call.epilogue, call.scans);
}

template <class T, class Out>
void to_type(const Call& call, const ArrayView& in, const ArrayView& workspace, Out* out,
             const std::optional<GridAxes>& axes) {
  const T* data = in.in<T>(kOp);
  const Interpolation kind = call.options.interpolation;
  if (kind == Interpolation::bspline) {  // its recursions run along whole lines: scan by scan
    for (std::int64_t scan = 0; scan < call.scans; ++scan) {
      const T* from = data + scan * volume_of(call.in);
      Out* to = out + scan * volume_of(call.out);
      if (axes) {
        bspline_planes_cuda(call.queue, from, call.in, *axes, to, call.out, call.epilogue);
      } else {
        bspline_prefilter_cuda(call.queue, from, workspace.out<float>(kOp) + scan * volume_of(call.in), call.in);
      }
    }
    if (!axes) oblique<float, Out>(call, workspace.in<float>(kOp), out);
    return;
  }
  if (!axes) return oblique<T, Out>(call, data, out);
  if (kind == Interpolation::nearest) return pick<T, Out>(call, data, *axes, out);
  const bool antialias = call.options.antialias;
  separable_cuda(call.queue, data, call.in, interpolation_taps(axes->z, kind, antialias),
                 interpolation_taps(axes->y, kind, antialias), interpolation_taps(axes->x, kind, antialias), out,
                 call.out, call.epilogue, call.scans);
}

template <class T>
void from_type(const Call& call, const ArrayView& in, const ArrayView& workspace, const ArrayView& out) {
  const std::optional<GridAxes> axes = separable_axes(in, out, call.options.grid_map, 1, 1);
  if (out.dtype == Dtype::f32) return to_type<T, float>(call, in, workspace, out.out<float>(kOp), axes);
  to_type<T, T>(call, in, workspace, out.out<T>(kOp), axes);
}

}  // namespace

void resample_cuda(const ArrayView& in, const ArrayView& workspace, const ArrayView& out,
                   const ResampleOptions& options) {
  cuda::Queue queue(kOp, out, options.place.stream);
  const Call call{queue,   in.shape[0], {in.shape[1], in.shape[2], in.shape[3]}, {out.shape[1], out.shape[2], out.shape[3]},
                  options, {options.has_window, options.lo, options.hi}};
  switch (in.dtype) {
    case Dtype::u8: return from_type<std::uint8_t>(call, in, workspace, out);
    case Dtype::i16: return from_type<std::int16_t>(call, in, workspace, out);
    case Dtype::u16: return from_type<std::uint16_t>(call, in, workspace, out);
    default: return from_type<float>(call, in, workspace, out);
  }
}

}  // namespace layer_fast::impl
