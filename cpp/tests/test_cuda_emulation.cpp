// The emulation finds what it is there for: kernels with one fault each, and a sound one. `test_cuda_emulation FAULT`
// ends with 0 where all is well, 1 where the launch is refused or fails, and by abort for a write out of bounds.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>
#include <vector>

namespace {

// Sums 64 numbers by exchanges inside of warps and by shared memory between them.
void sound(const int* in, int* out) {
  LF_DYNAMIC_SHARED(int, parts);
  int sum = in[threadIdx.x];
  for (int lanes = 16; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, lanes);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) atomicAdd(out, parts[0] + parts[1]);
}

// One thread leaves before the barrier.
void left(const int*, int*) {
  if (threadIdx.x == 5) return;
  __syncthreads();
}

// A lane that is not in the mask takes part.
void stranger(const int*, int*) { __shfl_sync(0x0000ffffu, 1, 0); }

// No barrier between writing and reading: the result depends on the order of threads.
void race(const int* in, int* out) {
  LF_DYNAMIC_SHARED(int, parts);
  parts[threadIdx.x] = in[threadIdx.x];
  if (threadIdx.x == 40) *out = parts[10] + parts[50];
}

void past_the_end(const int*, int* out) { out[1 + threadIdx.x] = 1; }

cudaError_t run(void (*kernel)(const int*, int*), unsigned threads, std::size_t shared, int* result) {
  std::vector<int> numbers(64);
  for (int i = 0; i < 64; ++i) numbers[static_cast<std::size_t>(i)] = i;
  void* out = nullptr;
  cudaMallocAsync(&out, sizeof(int), nullptr);
  cudaMemsetAsync(out, 0, sizeof(int), nullptr);
  cudaLaunchConfig_t config{};
  config.blockDim = threads;
  config.dynamicSmemBytes = shared;
  const cudaError_t status = cudaLaunchKernelEx(&config, kernel, numbers.data(), static_cast<int*>(out));
  std::memcpy(result, out, sizeof(int));
  cudaFreeAsync(out, nullptr);
  return status;
}

}  // namespace

int main(int count, char** words) {
  const char* fault = count > 1 ? words[1] : "";
  const auto is = [fault](const char* name) { return std::strcmp(fault, name) == 0; };
  int result = 0;
  cudaError_t status = cudaSuccess;
  if (is("sound")) status = run(sound, 64, 64 * sizeof(int), &result);
  if (is("left")) status = run(left, 64, 0, &result);
  if (is("stranger")) status = run(stranger, 32, 0, &result);
  if (is("race")) status = run(race, 64, 64 * sizeof(int), &result);
  if (is("past_the_end")) status = run(past_the_end, 1, 0, &result);
  if (is("too_many")) status = run(sound, 1025, 0, &result);
  if (is("too_much")) status = run(sound, 64, 100 << 10, &result);
  std::printf("%d\n", result);
  return status == cudaSuccess ? 0 : 1;
}
