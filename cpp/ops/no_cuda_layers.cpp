// The CUDA twins of the layer and intensity ops where nvcc is not to be had: same symbols, a DeviceError.
#include <string>

#include "layer_fast/error.hpp"
#include "ops/intensity_stats_impl.hpp"
#include "ops/layer_compose_impl.hpp"
#include "ops/layer_reduce_impl.hpp"
#include "ops/layer_weights_impl.hpp"
#include "ops/normalize_impl.hpp"

namespace layer_fast::impl {
namespace {

[[noreturn]] void cpu_only(const char* op) {
  throw DeviceError(std::string("[") + op + "] expected arrays on the CPU: this build has no CUDA twin of it, got CUDA");
}

}  // namespace

void layer_reduce_cuda(const ArrayView&, const ArrayView&, const LayerReduceOut&, const LayerReduceOptions&) {
  cpu_only("layer_reduce");
}

void layer_reduce_weighted_cuda(const ArrayView&, const ArrayView&, const LayerReduceOut&, const LayerReduceOptions&) {
  cpu_only("layer_reduce");
}

void layer_weights_cuda(const ArrayView&, const ArrayView&, int, const std::optional<GridMap>&, std::uintptr_t) {
  cpu_only("layer_weights");
}

void layer_compose_cuda(const ArrayView&, const ArrayView&, const ArrayView&, const ArrayView&, const ArrayView&, std::uintptr_t) {
  cpu_only("layer_compose");
}

IntensityStats intensity_stats_cuda(const ArrayView&, Within, const ArrayView&, const std::vector<double>&,
                                    const ArrayView&, bool, std::uintptr_t) {
  cpu_only("intensity_stats");
}

void normalize_cuda(const ArrayView&, const ArrayView&, double, double, bool, std::uintptr_t) { cpu_only("normalize"); }

}  // namespace layer_fast::impl
