#include "layer_fast/layer_weights.hpp"

#include "layer_fast/error.hpp"
#include "ops/layer_weights_impl.hpp"

namespace layer_fast {

void layer_weights(const ArrayView& labels, const ArrayView& out, int num_layers,
                   const std::optional<GridMap>& grid_map, Place place) {
  constexpr const char* kOp = "layer_weights";
  expects(labels.device == out.device, kOp, "labels and out on one device", "two");
  expects(num_layers >= 0 && num_layers <= 255, kOp, "num_layers from 0 to 255", std::to_string(num_layers));
  expects(labels.axes == 3 && labels.size() > 0, kOp, "labels (z, y, x) with voxels", labels.shape_text());
  expects(out.axes == 4 && out.size() > 0 && out.shape[0] == num_layers + 1, kOp, "out (num_layers + 1, mz, my, mx)",
          out.shape_text());
  labels.check_axes(kOp, "labels");
  out.check_axes(kOp, "out");
  switch (labels.device) {
    case Device::cpu: return impl::layer_weights_cpu(labels, out, num_layers, grid_map, place.threads);
    case Device::cuda: return impl::layer_weights_cuda(labels, out, num_layers, grid_map, place.stream);
  }
}

}  // namespace layer_fast
