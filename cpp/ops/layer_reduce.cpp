#include "layer_fast/layer_reduce.hpp"

#include <cmath>
#include <sstream>

#include "layer_fast/error.hpp"
#include "ops/layer_reduce_impl.hpp"
#include "ops/order_search.hpp"

namespace layer_fast {
namespace {

constexpr const char* kOp = "layer_reduce";

void check_common(const ArrayView& maps, const ArrayView& other, const LayerReduceOut& out,
                  const LayerReduceOptions& options) {
  expects(maps.device == other.device && maps.device == out.sum.device, kOp, "all arrays on one device", "two");
  expects(options.num_layers >= 0 && options.num_layers <= 255, kOp, "num_layers from 0 to 255",
          std::to_string(options.num_layers));
  expects(maps.axes == 4 && maps.size() > 0, kOp, "maps (K, z, y, x) with voxels", maps.shape_text());
  expects(other.size() > 0, kOp, "labels or weights with voxels", other.shape_text());
  maps.check_axes(kOp, "maps");
  other.check_axes(kOp, "labels or weights");
  const std::int64_t maps_n = maps.shape[0], rows = options.num_layers + 1;
  for (const ArrayView* field : {&out.count, &out.nonfinite, &out.argmax, &out.sum, &out.sum_sq, &out.sum_abs,
                                 &out.sum_pos, &out.weight, &out.min, &out.max}) {
    expects(field->has_shape({maps_n, rows}), kOp, "outputs of shape (K, num_layers + 1)", field->shape_text());
  }
}

void check_range(const HistogramRange& range) {
  std::ostringstream got;  // std::to_string would show 1e-310 as 0
  got << range.low << ", " << range.high << ", " << range.bins;
  expects(range.low < range.high && range.high - range.low < 1e300 && range.bins > 0 && range.bins <= (1 << 24), kOp,
          "histogram as (low, high, bins) with low < high and bins from 1 to 2^24", got.str());
  expects(std::isfinite(range.bins / (range.high - range.low)), kOp,
          "histogram (low, high, bins) with a finite number of bins per unit", got.str());
}

void check_extras(const ArrayView& maps, const ArrayView& labels, const LayerReduceOut& out,
                  const LayerReduceOptions& options) {
  const std::int64_t maps_n = maps.shape[0], rows = options.num_layers + 1;
  const auto quantiles = static_cast<std::int64_t>(options.quantiles.size());
  if (quantiles > 0 || options.top_fraction) {
    expects(labels.size() <= impl::kMostOrdered, kOp, "fewer than 2^32 voxels with quantiles or top_fraction",
            labels.shape_text());
  }
  for (const double q : options.quantiles) {
    expects(q >= 0 && q <= 1, kOp, "quantiles in [0, 1]", std::to_string(q));
  }
  if (options.top_fraction) {
    expects(*options.top_fraction > 0 && *options.top_fraction <= 1, kOp, "top_fraction in (0, 1]",
            std::to_string(*options.top_fraction));
    expects(out.top_share.has_shape({maps_n, rows}), kOp, "top_share of (K, rows)", out.top_share.shape_text());
  }
  if (quantiles > 0) {
    expects(out.quantiles.has_shape({maps_n, rows, quantiles}), kOp, "quantiles of (K, rows, Q)",
            out.quantiles.shape_text());
  }
  if (options.histogram) {
    const HistogramRange& range = *options.histogram;
    check_range(range);
    expects(out.histogram.has_shape({maps_n, rows, range.bins + 2}), kOp, "histogram of (K, rows, bins + 2)",
            out.histogram.shape_text());
  }
}

}  // namespace

void layer_reduce(const ArrayView& maps, const ArrayView& labels, const LayerReduceOut& out,
                  const LayerReduceOptions& options) {
  check_common(maps, labels, out, options);
  expects(labels.axes == 3, kOp, "labels (z, y, x)", labels.shape_text());
  check_extras(maps, labels, out, options);
  switch (maps.device) {
    case Device::cpu: return impl::layer_reduce_cpu(maps, labels, out, options);
    case Device::cuda: return impl::layer_reduce_cuda(maps, labels, out, options);
  }
}

void layer_reduce_weighted(const ArrayView& maps, const ArrayView& weights, const LayerReduceOut& out,
                           const LayerReduceOptions& options) {
  check_common(maps, weights, out, options);
  expects(weights.axes == 4 && weights.shape[0] == options.num_layers + 1, kOp, "weights (num_layers + 1, z, y, x)",
          weights.shape_text());
  expects(options.quantiles.empty() && !options.top_fraction && !options.histogram, kOp,
          "no quantiles, top_fraction or histogram together with weights", "one of them");
  switch (maps.device) {
    case Device::cpu: return impl::layer_reduce_weighted_cpu(maps, weights, out, options);
    case Device::cuda: return impl::layer_reduce_weighted_cuda(maps, weights, out, options);
  }
}

}  // namespace layer_fast
