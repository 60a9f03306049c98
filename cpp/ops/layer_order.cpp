#include "ops/layer_order.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace layer_fast::impl {

LayerOrder order_of(const OrderGiven& given, const LayerReduceOptions& options) {
  LayerOrder layer;
  layer.count = given.count;
  if (layer.count == 0) return layer;
  layer.low = given.min;
  layer.high = given.max;
  for (const double q : options.quantiles) {
    const QuantileRanks ranks = quantile_ranks(q, layer.count);
    layer.ranks.push_back(ranks.low);
    layer.ranks.push_back(ranks.high);
  }
  if (options.top_fraction && given.sum != 0.0) {
    const double share = std::floor(*options.top_fraction * static_cast<double>(layer.count) + 0.5);
    layer.top = std::clamp<std::int64_t>(static_cast<std::int64_t>(share), 1, layer.count);
  }
  return layer;
}

OrderFound order_found(const LayerOrder& layer, double sum, const LayerReduceOptions& options) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  OrderFound out{std::vector<double>(options.quantiles.size(), nan), nan};
  if (layer.count > 0 && !out.quantiles.empty()) {
    out.quantiles = quantiles_from(layer.found.data(), layer.count, options.quantiles);
  }
  if (layer.top > 0) out.top_share = layer.top_sum / sum;
  return out;
}

}  // namespace layer_fast::impl
