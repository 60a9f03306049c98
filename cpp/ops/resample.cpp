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
  expects(in.axes == 3 && in.size() > 0, kOp, "a volume of 3 axes that is not empty", in.shape_text());
  expects(out.axes == 3 && out.size() > 0, kOp, "an out of 3 axes that is not empty", out.shape_text());
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
    expects(impl::separable_axes(in, out, options.grid_map).has_value(), kOp,
            "an axis-aligned grid_map with antialias", "an oblique one");
  }
  const bool filters = options.interpolation == Interpolation::bspline;
  if (filters && !impl::separable_axes(in, out, options.grid_map).has_value()) {
    const bool fits = workspace.dtype == Dtype::f32 && workspace.axes == 3 && workspace.shape == in.shape &&
                      workspace.device == in.device && workspace.data != in.data;
    expects(fits, kOp, "a float32 workspace of the volume's shape for an oblique bspline", workspace.shape_text());
  }
}

}  // namespace

void resample(const ArrayView& in, const ArrayView& workspace, const ArrayView& out, const ResampleOptions& options) {
  check_arrays(in, out);
  check_options(in, workspace, out, options);
  switch (in.device) {
    case Device::cpu: return impl::resample_cpu(in, workspace, out, options);
    case Device::cuda: return impl::resample_cuda(in, workspace, out, options);
  }
}

}  // namespace layer_fast
