#include "layer_fast/resample_labels.hpp"

#include "layer_fast/error.hpp"
#include "ops/axis_taps.hpp"
#include "ops/resample_labels_impl.hpp"

namespace layer_fast {
namespace {

constexpr const char* kOp = "resample_labels";

void check_fractions(const ArrayView& labels, const ArrayView& out, const std::optional<GridMap>& grid_map) {
  expects(labels.device == out.device, kOp, "labels and out on one device", "two");
  expects(labels.axes == 3 && labels.size() > 0, kOp, "labels of 3 axes that are not empty", labels.shape_text());
  expects(labels.dtype == Dtype::u8, kOp, "labels of uint8", dtype_name(labels.dtype));
  expects(out.axes == 4 && out.size() > 0 && out.dtype == Dtype::f32, kOp, "out of float32 (num_labels, z, y, x)",
          out.shape_text());
  labels.check_axes(kOp, "labels");
  out.check_axes(kOp, "out");
  impl::check_grid_map(kOp, grid_map);
  const auto axes = impl::separable_axes(labels, out, grid_map, 0, 1);
  expects(axes.has_value(), kOp, "a grid_map that mixes no axes with mode fraction", "an oblique one");
  const bool sized = voxel::shrink(axes->z) > 0 && voxel::shrink(axes->y) > 0 && voxel::shrink(axes->x) > 0;
  expects(sized, kOp, "a grid_map without a scale of 0 with mode fraction", "one with it");
}

}  // namespace

void resample_labels(const ArrayView& labels, const ArrayView& out, const std::optional<GridMap>& grid_map,
                     Place place) {
  if (out.dtype == Dtype::u8) {
    expects(labels.dtype == Dtype::u8, kOp, "labels of uint8", dtype_name(labels.dtype));
    return resample(labels, ArrayView{}, out,
                    {.interpolation = Interpolation::nearest, .grid_map = grid_map, .place = place});
  }
  check_fractions(labels, out, grid_map);
  switch (labels.device) {
    case Device::cpu: return impl::resample_labels_cpu(labels, out, grid_map, place.threads);
    case Device::cuda: return impl::resample_labels_cuda(labels, out, grid_map, place.stream);
  }
}

}  // namespace layer_fast
