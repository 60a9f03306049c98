#include "layer_fast/layer_compose.hpp"

#include "layer_fast/error.hpp"
#include "ops/layer_compose_impl.hpp"

namespace layer_fast {

void layer_compose(const ArrayView& image, const ArrayView& labels, const ArrayView& coalitions, const ArrayView& fill,
                   const ArrayView& out, Place place) {
  constexpr const char* kOp = "layer_compose";
  for (const ArrayView* other : {&labels, &coalitions, &fill, &out}) {
    expects(other->device == image.device, kOp, "all arrays on one device", "two");
  }
  expects(image.axes == 4, kOp, "image (C, z, y, x)", image.shape_text());
  const std::int64_t c = image.shape[0], z = image.shape[1], y = image.shape[2], x = image.shape[3];
  expects(labels.has_shape({z, y, x}), kOp, "labels on the image's grid", labels.shape_text());
  expects(coalitions.axes == 2 && coalitions.shape[1] >= 1 && coalitions.shape[1] <= 256, kOp,
          "coalitions (N, num_layers + 1) with 1 to 256 columns", coalitions.shape_text());
  expects(fill.has_shape({c, coalitions.shape[1]}) || fill.has_shape({c, z, y, x}), kOp,
          "fill_values (C, num_layers + 1) or (C, z, y, x)", fill.shape_text());
  expects(out.has_shape({coalitions.shape[0], c, z, y, x}), kOp, "out (N, C, z, y, x)", out.shape_text());
  switch (image.device) {
    case Device::cpu: return impl::layer_compose_cpu(image, labels, coalitions, fill, out, place.threads);
    case Device::cuda: return impl::layer_compose_cuda(image, labels, coalitions, fill, out, place.stream);
  }
}

}  // namespace layer_fast
