#include "layer_fast/resample.hpp"

#include <string>

#include "layer_fast/error.hpp"
#include "ops/axis_taps.hpp"
#include "ops/resample_impl.hpp"

namespace layer_fast {
namespace {

constexpr const char* kOp = "resample";

void check_arrays(const ArrayView& in, const ArrayView& out) {
  expects(in.device == out.device, kOp, "volume and out on one device", "two");
  expects(in.axes == 4 && in.size() > 0, kOp, "a volume (z, y, x) or (N, z, y, x) that is not empty", in.shape_text());
  expects(out.axes == 4 && out.size() > 0 && out.shape[0] == in.shape[0], kOp,
          "an out that is not empty, of as many axes and scans as the volume", out.shape_text());
  in.check_axes(kOp, "a volume");
  out.check_axes(kOp, "an out");
  const bool known = in.dtype == Dtype::u8 || in.dtype == Dtype::i16 || in.dtype == Dtype::u16 || in.dtype == Dtype::f32;
  expects(known, kOp, "a volume of uint8, int16, uint16 or float32", dtype_name(in.dtype));
  expects(out.dtype == Dtype::f32 || out.dtype == in.dtype, kOp,
          std::string("an out of float32 or ") + dtype_name(in.dtype), dtype_name(out.dtype));
}

void check_options(const ArrayView& in, const ArrayView& workspace, const ArrayView& out,
                   const ResampleOptions& options) {
  impl::check_grid_map(kOp, options.grid_map);
  if (options.has_window) {
    expects(options.hi > options.lo, kOp, "window (lo, hi) with lo < hi", std::to_string(options.lo) + ", " +
            std::to_string(options.hi));
    expects(out.dtype == Dtype::f32, kOp, "float32 output with a window", dtype_name(out.dtype));
  }
  if (options.antialias) {
    const bool widens = options.interpolation == Interpolation::linear || options.interpolation == Interpolation::cubic;
    expects(widens, kOp, "interpolation linear or cubic with antialias", "nearest or bspline");
    expects(impl::separable_axes(in, out, options.grid_map, 1, 1).has_value(), kOp,
            "an axis-aligned grid_map with antialias", "an oblique one");
  }
  const bool filters = options.interpolation == Interpolation::bspline;
  if (filters && !impl::separable_axes(in, out, options.grid_map, 1, 1).has_value()) {
    const bool fits = workspace.dtype == Dtype::f32 && workspace.axes == 4 && workspace.shape == in.shape &&
                      workspace.device == in.device && workspace.data != in.data;
    expects(fits, kOp, "a float32 workspace of the volume's shape for an oblique bspline", workspace.shape_text());
  }
}

// (N, z, y, x); a volume is a batch of one.
ArrayView as_batch(const ArrayView& view) { return view.axes == 3 ? view.with_front() : view; }

void each_on_cpu(const ArrayView& in, const ArrayView& workspace, const ArrayView& out, const ResampleOptions& options) {
  for (std::int64_t scan = 0; scan < in.shape[0]; ++scan) {
    const ArrayView own = workspace.axes == 0 ? workspace : workspace.part(scan);
    impl::resample_cpu(in.part(scan), own, out.part(scan), options);
  }
}

}  // namespace

void resample(const ArrayView& volume, const ArrayView& room, const ArrayView& result, const ResampleOptions& options) {
  const ArrayView in = as_batch(volume), workspace = as_batch(room), out = as_batch(result);
  check_arrays(in, out);
  check_options(in, workspace, out, options);
  switch (in.device) {
    case Device::cpu: return each_on_cpu(in, workspace, out, options);
    case Device::cuda: return impl::resample_cuda(in, workspace, out, options);
  }
}

}  // namespace layer_fast
