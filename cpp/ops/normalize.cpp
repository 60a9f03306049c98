#include "layer_fast/normalize.hpp"

#include <cmath>

#include "layer_fast/error.hpp"
#include "ops/normalize_impl.hpp"

namespace layer_fast {

void normalize(const ArrayView& volume, const ArrayView& out, double shift, double scale, bool clip, Place place) {
  constexpr const char* kOp = "normalize";
  expects(volume.device == out.device, kOp, "volume and out on one device", "two");
  expects(volume.axes == out.axes && volume.shape == out.shape, kOp, "out of shape " + volume.shape_text(),
          out.shape_text());
  expects(std::isfinite(shift) && std::isfinite(scale) && scale > 0 && std::isfinite(1.0 / scale), kOp, "a finite shift and a positive scale",
          std::to_string(shift) + " and " + std::to_string(scale));
  switch (volume.device) {
    case Device::cpu: return impl::normalize_cpu(volume, out, shift, scale, clip, place.threads);
    case Device::cuda: return impl::normalize_cuda(volume, out, shift, scale, clip, place.stream);
  }
}

}  // namespace layer_fast
