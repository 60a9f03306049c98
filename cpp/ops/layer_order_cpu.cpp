// CPU: quantiles and top shares of layer_reduce.
#include <algorithm>

#include "ops/layer_order.hpp"
#include "ops/layer_reduce_impl.hpp"
#include "ops/order_search.hpp"
#include "ops/order_sweep.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "layer_reduce";

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

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
    for (std::int64_t l = 0; l < rows; ++l) {
      const std::size_t row = at(k * rows + l);
      layers.push_back(order_of({out.count.in<std::int64_t>(kOp)[row], out.min.in<float>(kOp)[row],
                                 out.max.in<float>(kOp)[row], out.sum.in<double>(kOp)[row]}, options));
    }
    CpuSweeps sweeps(source, threads);
    find_order(sweeps, layers);
    for (std::int64_t l = 0; l < rows; ++l) {
      const std::size_t row = at(k * rows + l);
      const OrderFound found = order_found(layers[at(l)], out.sum.in<double>(kOp)[row], options);
      if (!found.quantiles.empty()) {
        std::copy(found.quantiles.begin(), found.quantiles.end(),
                  out.quantiles.out<double>(kOp) + row * found.quantiles.size());
      }
      if (options.top_fraction) out.top_share.out<double>(kOp)[row] = found.top_share;
    }
  }
}

}  // namespace layer_fast::impl
