// What the CUDA runtime sees. The runtime is linked statically; a machine without a driver gets a reason.
#include <cuda_runtime.h>

#include "layer_fast/device.hpp"

namespace layer_fast {

CudaReport cuda_report() {
  CudaReport report{true, {}, ""};
  int count = 0;
  if (const cudaError_t status = cudaGetDeviceCount(&count); status != cudaSuccess) {
    report.reason = cudaGetErrorString(status);
    return report;
  }
  for (int index = 0; index < count; ++index) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, index) != cudaSuccess) continue;
    report.devices.push_back({properties.name, properties.major, properties.minor, properties.totalGlobalMem});
  }
  if (report.devices.empty()) report.reason = "no CUDA device";
  return report;
}

}  // namespace layer_fast
