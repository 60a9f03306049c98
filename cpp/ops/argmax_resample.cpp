#include "layer_fast/argmax_resample.hpp"

#include <string>

#include "layer_fast/error.hpp"
#include "ops/argmax_resample_impl.hpp"
#include "ops/axis_taps.hpp"

namespace layer_fast {
namespace {

constexpr const char* kOp = "argmax_resample";

void check(const ArrayView& logits, const ArrayView& out, const std::optional<GridMap>& grid_map) {
  expects(logits.device == out.device, kOp, "logits and out on one device", "two");
  expects(logits.axes == 4 && logits.size() > 0, kOp, "logits (classes, z, y, x) that are not empty",
          logits.shape_text());
  expects(logits.dtype == Dtype::f32, kOp, "logits of float32", dtype_name(logits.dtype));
  expects(logits.shape[0] <= 256, kOp, "at most 256 classes", std::to_string(logits.shape[0]));
  expects(out.axes == 3 && out.size() > 0 && out.dtype == Dtype::u8, kOp, "out of uint8 (z, y, x)", out.shape_text());
  logits.check_axes(kOp, "logits");
  out.check_axes(kOp, "out");
  impl::check_grid_map(kOp, grid_map);
}

}  // namespace

void argmax_resample(const ArrayView& logits, const ArrayView& out, const std::optional<GridMap>& grid_map,
                     Place place) {
  check(logits, out, grid_map);
  switch (logits.device) {
    case Device::cpu: return impl::argmax_resample_cpu(logits, out, grid_map, place.threads);
    case Device::cuda: return impl::argmax_resample_cuda(logits, out, grid_map, place.stream);
  }
}

}  // namespace layer_fast
