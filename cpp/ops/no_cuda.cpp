// The CUDA twins where nvcc is not to be had: same symbols, a DeviceError instead of a kernel.
#include <string>

#include "layer_fast/error.hpp"
#include "ops/argmax_resample_impl.hpp"
#include "ops/resample_impl.hpp"
#include "ops/resample_labels_impl.hpp"

namespace layer_fast::impl {
namespace {

[[noreturn]] void cpu_only(const char* op) {
  throw DeviceError(std::string("[") + op + "] expected arrays on the CPU: this build has no CUDA twin of it, got CUDA");
}

}  // namespace

void resample_cuda(const ArrayView&, const ArrayView&, const ArrayView&, const ResampleOptions&) { cpu_only("resample"); }
void resample_labels_cuda(const ArrayView&, const ArrayView&, const std::optional<GridMap>&, std::uintptr_t) {
  cpu_only("resample_labels");
}
void argmax_resample_cuda(const ArrayView&, const ArrayView&, const std::optional<GridMap>&, std::uintptr_t) {
  cpu_only("argmax_resample");
}

}  // namespace layer_fast::impl
