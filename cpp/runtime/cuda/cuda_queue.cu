#include "runtime/cuda/cuda_queue.hpp"

#include <array>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "layer_fast/error.hpp"

namespace layer_fast::cuda {
namespace {

// Scratch memory of one device, in a pool of our own: the default one gives everything back whenever the device is
// waited for, and what others set on it is theirs. This one keeps kKept bytes for the next call.
constexpr std::uint64_t kKept = std::uint64_t{256} << 20;
constexpr int kMostDevices = 64;

cudaMemPool_t pool_of(int device, const char* op) {
  static std::mutex one_at_a_time;
  static std::array<cudaMemPool_t, kMostDevices> pools{};
  if (device < 0 || device >= kMostDevices) refuse(op, "a CUDA device below 64", std::to_string(device));
  const std::lock_guard lock(one_at_a_time);
  cudaMemPool_t& pool = pools[static_cast<std::size_t>(device)];
  if (pool != nullptr) return pool;
  cudaMemPoolProps wanted{};
  wanted.allocType = cudaMemAllocationTypePinned;  // CUDA's word for device memory that stays where it is
  wanted.location.type = cudaMemLocationTypeDevice;
  wanted.location.id = device;
  cudaMemPool_t made = nullptr;
  check(cudaMemPoolCreate(&made, &wanted), op, "a pool of device memory");
  std::uint64_t kept = kKept;
  check(cudaMemPoolSetAttribute(made, cudaMemPoolAttrReleaseThreshold, &kept), op, "a pool that keeps memory");
  return pool = made;
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

void* Queue::allocate(std::size_t bytes) {
  void* memory = nullptr;
  check(cudaMallocFromPoolAsync(&memory, bytes > 0 ? bytes : 1, pool_of(device_, op_), stream_), op_,
        "scratch memory on the device");
  return memory;
}

int Queue::most_shared() const {
  int bytes = 0;
  check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device_), op_, "the size of shared memory");
  return bytes;
}

bool Queue::blocking() {
  static const bool asked = [] {
    const char* value = std::getenv("LAYER_FAST_CUDA_BLOCKING");
    return value != nullptr && std::strcmp(value, "1") == 0;
  }();
  return asked;
}

}  // namespace layer_fast::cuda
