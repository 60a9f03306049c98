// Linked instead of device_cuda.cu where nvcc is not to be had.
#include "layer_fast/device.hpp"

namespace layer_fast {

CudaReport cuda_report() {
  return {false, {}, "built without CUDA; configure with -DLAYER_FAST_CUDA=ON where nvcc is installed"};
}

}  // namespace layer_fast
