// CPU: quantiles and top shares of layer_reduce.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/layer_reduce_impl.hpp"
#include "ops/order_search.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "layer_reduce";

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// What is to be found out about one row.
LayerOrder order_of(std::size_t row, const LayerReduceOut& out, const LayerReduceOptions& options) {
  LayerOrder layer;
  layer.count = out.count.in<std::int64_t>(kOp)[row];
  if (layer.count == 0) return layer;
  layer.low = out.min.in<float>(kOp)[row];
  layer.high = out.max.in<float>(kOp)[row];
  for (const double q : options.quantiles) {
    const QuantileRanks ranks = quantile_ranks(q, layer.count);
    layer.ranks.push_back(ranks.low);
    layer.ranks.push_back(ranks.high);
  }
  if (options.top_fraction && out.sum.in<double>(kOp)[row] != 0.0) {
    const double share = std::floor(*options.top_fraction * static_cast<double>(layer.count) + 0.5);
    layer.top = std::clamp<std::int64_t>(static_cast<std::int64_t>(share), 1, layer.count);
  }
  return layer;
}

void write_order(const LayerOrder& layer, std::size_t row, const LayerReduceOut& out, const LayerReduceOptions& options) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (const std::size_t q = options.quantiles.size(); q > 0) {
    const std::vector<double> found = layer.count > 0 ? quantiles_from(layer.found.data(), layer.count, options.quantiles)
                                                      : std::vector<double>(q, nan);
    std::copy(found.begin(), found.end(), out.quantiles.out<double>(kOp) + row * q);
  }
  if (options.top_fraction) {
    out.top_share.out<double>(kOp)[row] = layer.top > 0 ? layer.top_sum / out.sum.in<double>(kOp)[row] : nan;
  }
}

}  // namespace

void layer_order_statistics(const ArrayView& maps, const ArrayView& labels, const MapReader& reader,
                            const LayerReduceOut& out, const LayerReduceOptions& options, int threads) {
  const auto* label = labels.in<std::uint8_t>(kOp);
  const std::int64_t maps_n = maps.shape[0], rows = options.num_layers + 1;
  std::vector<std::vector<float>> scratch(at(std::max(threads, 1)),
                                          std::vector<float>(at(reader.scratch_size(LabelledValues::kMost))));
  for (std::int64_t k = 0; k < maps_n; ++k) {
    const float* map = maps.in<float>(kOp) + k * (maps.size() / maps_n);
    const LabelledValues source{labels.size(), std::max(threads, 1), [&](std::int64_t start, std::int64_t n, int worker) {
      return LabelledValues::Piece{reader.read(map, start, n, scratch[at(worker)].data()), label + start};
    }};
    std::vector<LayerOrder> layers;
    for (std::int64_t l = 0; l < rows; ++l) layers.push_back(order_of(at(k * rows + l), out, options));
    find_order(source, layers, threads);
    for (std::int64_t l = 0; l < rows; ++l) write_order(layers[at(l)], at(k * rows + l), out, options);
  }
}

}  // namespace layer_fast::impl
