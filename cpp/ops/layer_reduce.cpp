#include "layer_fast/layer_reduce.hpp"

#include <cmath>
#include <sstream>

#include "layer_fast/error.hpp"
#include "ops/layer_reduce_impl.hpp"
#include "ops/order_search.hpp"

namespace layer_fast {
namespace {

constexpr const char* kOp = "layer_reduce";

template <class Change>
LayerReduceOut changed(const LayerReduceOut& out, const Change& change) {
  const auto one = [&](const ArrayView& view) { return view.axes == 0 ? view : change(view); };  // 0: not asked for
  return {.count = one(out.count), .nonfinite = one(out.nonfinite), .argmax = one(out.argmax), .sum = one(out.sum),
          .sum_sq = one(out.sum_sq), .sum_abs = one(out.sum_abs), .sum_pos = one(out.sum_pos),
          .weight = one(out.weight), .min = one(out.min), .max = one(out.max), .quantiles = one(out.quantiles),
          .top_share = one(out.top_share), .histogram = one(out.histogram)};
}

// A call as a batch: maps (N, K, z, y, x), a mask and results with N in front. One scan is a batch of one.
struct Batch {
  Batch(const ArrayView& given_maps, const ArrayView& given_mask, const LayerReduceOut& given_out, int mask_axes)
      : maps(given_maps), mask(given_mask), out(given_out) {
    if (mask.axes != mask_axes || maps.axes >= kMaxAxes) return;
    maps = maps.with_front();
    mask = mask.with_front();
    out = changed(out, [](const ArrayView& view) { return view.with_front(); });
  }
  ArrayView maps, mask;
  LayerReduceOut out;
};

void check_common(const Batch& batch, const LayerReduceOptions& options) {
  const auto& [maps, other, out] = batch;
  expects(maps.device == other.device && maps.device == out.sum.device, kOp, "all arrays on one device", "two");
  expects(options.num_layers >= 0 && options.num_layers <= 255, kOp, "num_layers from 0 to 255",
          std::to_string(options.num_layers));
  expects(maps.axes == 5 && maps.size() > 0, kOp, "maps (K, z, y, x) or (N, K, z, y, x) with voxels", maps.shape_text());
  expects(other.size() > 0, kOp, "labels or weights with voxels", other.shape_text());
  expects(other.shape[0] == maps.shape[0], kOp, "as many masks as scans, " + std::to_string(maps.shape[0]),
          other.shape_text());
  maps.check_axes(kOp, "maps");
  other.check_axes(kOp, "labels or weights");
  const std::int64_t scans = maps.shape[0], maps_n = maps.shape[1], rows = options.num_layers + 1;
  for (const ArrayView* field : {&out.count, &out.nonfinite, &out.argmax, &out.sum, &out.sum_sq, &out.sum_abs,
                                 &out.sum_pos, &out.weight, &out.min, &out.max}) {
    expects(field->has_shape({scans, maps_n, rows}), kOp, "outputs of shape (K, num_layers + 1)", field->shape_text());
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

void check_extras(const Batch& batch, const LayerReduceOptions& options) {
  const auto& [maps, labels, out] = batch;
  const std::int64_t scans = maps.shape[0], maps_n = maps.shape[1], rows = options.num_layers + 1;
  const auto quantiles = static_cast<std::int64_t>(options.quantiles.size());
  if (quantiles > 0 || options.top_fraction) {
    expects(labels.size() / scans <= impl::kMostOrdered, kOp, "fewer than 2^32 voxels with quantiles or top_fraction",
            labels.shape_text());
  }
  for (const double q : options.quantiles) {
    expects(q >= 0 && q <= 1, kOp, "quantiles in [0, 1]", std::to_string(q));
  }
  if (options.top_fraction) {
    expects(*options.top_fraction > 0 && *options.top_fraction <= 1, kOp, "top_fraction in (0, 1]",
            std::to_string(*options.top_fraction));
    expects(out.top_share.has_shape({scans, maps_n, rows}), kOp, "top_share of (K, rows)", out.top_share.shape_text());
  }
  if (quantiles > 0) {
    expects(out.quantiles.has_shape({scans, maps_n, rows, quantiles}), kOp, "quantiles of (K, rows, Q)",
            out.quantiles.shape_text());
  }
  if (options.histogram) {
    const HistogramRange& range = *options.histogram;
    check_range(range);
    expects(out.histogram.has_shape({scans, maps_n, rows, range.bins + 2}), kOp, "histogram of (K, rows, bins + 2)",
            out.histogram.shape_text());
  }
}

using Twin = void (*)(const ArrayView&, const ArrayView&, const LayerReduceOut&, const LayerReduceOptions&);

void each_scan(const Batch& batch, const LayerReduceOptions& options, Twin cpu) {
  const std::int64_t scans = batch.maps.shape[0];
  for (std::int64_t i = 0; i < scans; ++i) {
    const auto of_scan = [i](const ArrayView& view) { return view.part(i); };
    try {
      cpu(batch.maps.part(i), batch.mask.part(i), changed(batch.out, of_scan), options);
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(error.what() + impl::in_scan(i, scans));
    }
  }
}

void all_scans(const Batch& batch, const LayerReduceOptions& options, Twin cuda) {
  const auto flat = [](const ArrayView& view) { return view.flat_front(); };
  cuda(batch.maps.flat_front(), batch.mask, changed(batch.out, flat), options);
}

}  // namespace

void layer_reduce(const ArrayView& maps, const ArrayView& labels, const LayerReduceOut& out,
                  const LayerReduceOptions& options) {
  const Batch batch(maps, labels, out, 3);
  check_common(batch, options);
  expects(batch.mask.axes == 4, kOp, "labels (z, y, x) or (N, z, y, x)", labels.shape_text());
  check_extras(batch, options);
  switch (maps.device) {
    case Device::cpu: return each_scan(batch, options, impl::layer_reduce_cpu);
    case Device::cuda: return all_scans(batch, options, impl::layer_reduce_cuda);
  }
}

void layer_reduce_weighted(const ArrayView& maps, const ArrayView& weights, const LayerReduceOut& out,
                           const LayerReduceOptions& options) {
  const Batch batch(maps, weights, out, 4);
  check_common(batch, options);
  expects(batch.mask.axes == 5 && batch.mask.shape[1] == options.num_layers + 1, kOp,
          "weights (num_layers + 1, z, y, x), or (N, num_layers + 1, z, y, x)", weights.shape_text());
  expects(options.quantiles.empty() && !options.top_fraction && !options.histogram, kOp,
          "no quantiles, top_fraction or histogram together with weights", "one of them");
  switch (maps.device) {
    case Device::cpu: return each_scan(batch, options, impl::layer_reduce_weighted_cpu);
    case Device::cuda: return all_scans(batch, options, impl::layer_reduce_weighted_cuda);
  }
}

}  // namespace layer_fast
