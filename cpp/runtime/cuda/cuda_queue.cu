#include "runtime/cuda/cuda_queue.hpp"

#include <cstdlib>
#include <cstring>

#include "layer_fast/error.hpp"

namespace layer_fast::cuda {
namespace {

bool blocking() {
  static const bool asked = [] {
    const char* value = std::getenv("LAYER_FAST_CUDA_BLOCKING");
    return value != nullptr && std::strcmp(value, "1") == 0;
  }();
  return asked;
}

}  // namespace

void check(cudaError_t status, const char* op, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // it has been reported: the next call starts clean
  throw DeviceError(std::string("[") + op + "] expected " + what + ", got CUDA error " + std::to_string(status) + ": " +
                    cudaGetErrorString(status));
}

Queue::Queue(const char* op, const ArrayView& where, std::uintptr_t stream)
    : op_(op), stream_(reinterpret_cast<cudaStream_t>(stream)) {
  cudaPointerAttributes found{};
  check(cudaPointerGetAttributes(&found, where.data), op, "an address that CUDA knows");
  if (found.type != cudaMemoryTypeDevice && found.type != cudaMemoryTypeManaged) {
    throw DeviceError(std::string("[") + op + "] expected memory of a CUDA device, got memory of the host");
  }
  check(cudaGetDevice(&before_), op, "a current CUDA device");
  device_ = found.device;
  if (device_ != before_) check(cudaSetDevice(device_), op, "the arrays' device");
}

Queue::~Queue() {
  if (device_ != before_) cudaSetDevice(before_);
}

int Queue::multiprocessors() const {
  int count = 0;
  check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device_), op_, "the number of multiprocessors");
  return count;
}

void* Queue::allocate(std::size_t bytes) {
  void* memory = nullptr;
  check(cudaMallocAsync(&memory, bytes > 0 ? bytes : 1, stream_), op_, "scratch memory on the device");
  return memory;
}

void Queue::after_launch() {
  check(cudaGetLastError(), op_, "a kernel to start");
  if (blocking()) check(cudaStreamSynchronize(stream_), op_, "a kernel to finish");
}

}  // namespace layer_fast::cuda
