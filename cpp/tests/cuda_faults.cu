// Kernels with one planted fault each, by which tests/gpu/sanitize.py sees that each tool of compute-sanitizer finds what
// it is there for. Not a part of the library.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>

namespace layer_fast::faults {  // the tools are told to look at kernels of layer_fast alone

__global__ void out_of_bounds(int* data, int n) { data[threadIdx.x + (threadIdx.x == 31 ? n : 0)] = 1; }

__global__ void race(int* data) {
  __shared__ int shared[64];
  shared[threadIdx.x] = static_cast<int>(threadIdx.x);
  data[threadIdx.x] = shared[63 - threadIdx.x];  // no barrier: the other warp may not have written
}

__global__ void uninitialised(const int* data, int* out) { out[threadIdx.x] = data[threadIdx.x]; }

__global__ void lost_barrier(int* data) {
  if (threadIdx.x < 16) __syncwarp(0xffffffffu);  // 16 lanes that never come are named
  data[threadIdx.x] = 1;
}

}  // namespace layer_fast::faults

int main(int count, char** words) {
  using namespace layer_fast::faults;
  const char* fault = count > 1 ? words[1] : "";
  int *data = nullptr, *out = nullptr;
  if (cudaMalloc(&data, 64 * sizeof(int)) != cudaSuccess || cudaMalloc(&out, 64 * sizeof(int)) != cudaSuccess) return 2;
  if (std::strcmp(fault, "memcheck") == 0) out_of_bounds<<<1, 32>>>(data, 4096);
  if (std::strcmp(fault, "racecheck") == 0) race<<<1, 64>>>(data);
  if (std::strcmp(fault, "initcheck") == 0) uninitialised<<<1, 32>>>(data, out);
  if (std::strcmp(fault, "synccheck") == 0) lost_barrier<<<1, 32>>>(data);
  const cudaError_t status = cudaDeviceSynchronize();
  std::printf("%s: %s\n", fault, cudaGetErrorString(status));
  return 0;
}
