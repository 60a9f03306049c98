// CUDA: quantiles and top shares of layer_reduce. The search runs on the host (order_search.cpp) and asks for a sample,
// one count and one collection, each a sweep over map and labels and a wait; so these cost a few reads of the volume.
#include "ops/device_sweeps_cuda.hpp"
#include "ops/layer_order.hpp"
#include "ops/layer_reduce_cuda.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "layer_reduce";

struct LayerVoxels {
  MapSource source;
  const float* map;
  const std::uint8_t* labels;
  std::int64_t count;
  __device__ float value(std::int64_t i) const { return map_value(source, map, i); }
  __device__ int label(std::int64_t i) const { return labels[i]; }
};

}  // namespace

void order_statistics_cuda(cuda::Queue& queue, const ReduceTask& task, const LayerReduceOut& out,
                           const LayerReduceOptions& options) {
  const std::int64_t width = task.maps_n * task.rows;
  const auto counts = queue.read(out.count.in<std::int64_t>(kOp), width);
  const auto lows = queue.read(out.min.in<float>(kOp), width);
  const auto highs = queue.read(out.max.in<float>(kOp), width);
  const auto sums = queue.read(out.sum.in<double>(kOp), width);
  std::vector<double> quantiles, shares;
  for (std::int64_t k = 0; k < task.maps_n; ++k) {
    std::vector<LayerOrder> layers;
    const auto first = static_cast<std::size_t>(k * task.rows), end = first + static_cast<std::size_t>(task.rows);
    for (std::size_t row = first; row < end; ++row) {
      layers.push_back(order_of({counts[row], lows[row], highs[row], sums[row]}, options));
    }
    const float* map = task.source.values + k * task.source.map_voxels;
    DeviceSweeps<LayerVoxels> sweeps(queue, {task.source, map, task.labels(k), task.voxels});
    find_order(sweeps, layers);
    for (std::size_t row = first; row < end; ++row) {
      const OrderFound found = order_found(layers[row - first], sums[row], options);
      quantiles.insert(quantiles.end(), found.quantiles.begin(), found.quantiles.end());
      shares.push_back(found.top_share);
    }
  }
  if (!quantiles.empty()) queue.write(quantiles, out.quantiles.out<double>(kOp));
  if (options.top_fraction) queue.write(shares, out.top_share.out<double>(kOp));
}

}  // namespace layer_fast::impl
