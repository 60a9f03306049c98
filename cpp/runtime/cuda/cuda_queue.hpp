// What a CUDA twin stands on: the device of its arrays, the caller's stream, launches and scratch memory. Only .cu files
// include this. Nothing waits for the device but `read`; work is ordered by the stream.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "layer_fast/array.hpp"

// Dynamic shared memory of the running block as an array of T; how much is said at the launch.
#ifndef LF_DYNAMIC_SHARED
#define LF_DYNAMIC_SHARED(T, name)                                   \
  extern __shared__ __align__(128) unsigned char lf_dynamic_shared[]; \
  T* const name = reinterpret_cast<T*>(lf_dynamic_shared)
#endif

namespace layer_fast::cuda {

// DeviceError with the op, what was tried and CUDA's own words.
void check(cudaError_t status, const char* op, const char* what);

// Device memory from a pool of ours; it goes back in stream order, when kernels before have used it.
template <class T>
class Scratch {
 public:
  Scratch() = default;
  Scratch(T* data, cudaStream_t stream) : data_(data), stream_(stream) {}
  Scratch(Scratch&& other) noexcept : data_(std::exchange(other.data_, nullptr)), stream_(other.stream_) {}
  Scratch& operator=(Scratch&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(stream_, other.stream_);
    return *this;
  }
  ~Scratch() {
    if (data_ != nullptr) cudaFreeAsync(data_, stream_);
  }
  T* data() const { return data_; }

 private:
  T* data_ = nullptr;
  cudaStream_t stream_ = nullptr;
};

class Queue {
 public:
  // where: an array of the call; its device is the current one as long as the queue lives.
  Queue(const char* op, const ArrayView& where, std::uintptr_t stream);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  // Launches kernel(args...). Bad launches throw here; what goes wrong inside of a kernel shows at the caller's next
  // wait, or here with LAYER_FAST_CUDA_BLOCKING=1, which waits after every launch.
  template <class... P, class... A>
  void run(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared_bytes, A&&... args) {
    if (shared_bytes > kSharedByDefault) {
      // All that there is, not what is asked for: it holds for the kernel, and calls side by side would take it from each
      // other between this line and the launch.
      check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most_shared()), op_,
            "shared memory for a kernel");
    }
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream_;
    check(cudaLaunchKernelEx(&config, kernel, std::forward<A>(args)...), op_, "a kernel to start");
    if (blocking()) check(cudaStreamSynchronize(stream_), op_, "a kernel to finish");
  }

  // Uninitialised.
  template <class T>
  Scratch<T> scratch(std::int64_t count) {
    return {static_cast<T*>(allocate(static_cast<std::size_t>(count) * sizeof(T))), stream_};
  }
  template <class T>
  Scratch<T> zeros(std::int64_t count) {
    Scratch<T> made = scratch<T>(count);
    check(cudaMemsetAsync(made.data(), 0, static_cast<std::size_t>(count) * sizeof(T), stream_), op_, "memory set to 0");
    return made;
  }
  // A copy on the device; `values` may go: the driver stages memory that is not pinned within the call. CUDA promises so
  // for the synchronous form only, and a GPU that shares its caches with the host (Grace) has not been tried.
  template <class T>
  Scratch<T> upload(const std::vector<T>& values) {
    Scratch<T> made = scratch<T>(static_cast<std::int64_t>(values.size()));
    const std::size_t bytes = values.size() * sizeof(T);
    check(cudaMemcpyAsync(made.data(), values.data(), bytes, cudaMemcpyHostToDevice, stream_), op_, "an upload");
    return made;
  }
  // Into memory that is there.
  template <class T>
  void set_zero(T* device, std::int64_t count) {
    check(cudaMemsetAsync(device, 0, static_cast<std::size_t>(count) * sizeof(T), stream_), op_, "memory set to 0");
  }
  template <class T>
  void write(const std::vector<T>& values, T* device) {
    const std::size_t bytes = values.size() * sizeof(T);
    check(cudaMemcpyAsync(device, values.data(), bytes, cudaMemcpyHostToDevice, stream_), op_, "an upload");
  }
  // Numbers that the caller needs on the CPU: this waits for the stream.
  template <class T>
  std::vector<T> read(const T* device, std::int64_t count) {
    std::vector<T> values(static_cast<std::size_t>(count));
    const std::size_t bytes = values.size() * sizeof(T);
    check(cudaMemcpyAsync(values.data(), device, bytes, cudaMemcpyDeviceToHost, stream_), op_, "a download");
    check(cudaStreamSynchronize(stream_), op_, "the stream to finish");
    return values;
  }

 private:
  static constexpr std::size_t kSharedByDefault = std::size_t{48} << 10;
  void* allocate(std::size_t bytes);
  int most_shared() const;
  static bool blocking();

  const char* op_;
  cudaStream_t stream_;
  int device_ = 0, before_ = 0;
};

// Blocks of `block` that cover n.
inline unsigned blocks_for(std::int64_t n, std::int64_t block) { return static_cast<unsigned>((n + block - 1) / block); }

}  // namespace layer_fast::cuda
