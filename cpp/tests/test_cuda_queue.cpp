// The queue that CUDA twins launch by, over the emulation: `test_cuda_queue CASE` ends with 0 where all is well.
#include <cstdio>
#include <cstring>

#include "layer_fast/error.hpp"
#include "runtime/cuda/cuda_queue.hpp"

namespace {

using layer_fast::cuda::Queue;

void idle(int) {}

cudaError_t launch(unsigned threads, std::size_t shared) {
  cudaLaunchConfig_t config{};
  config.blockDim = threads;
  config.dynamicSmemBytes = shared;
  return cudaLaunchKernelEx(&config, idle, 0);
}

// A call that needs less shared memory must not take from a kernel what a call side by side has just allowed it.
bool shared_memory_is_not_taken_back(Queue& queue) {
  queue.run(idle, dim3(1), dim3(32), 100 << 10, 0);
  queue.run(idle, dim3(1), dim3(32), 60 << 10, 0);
  return launch(32, 100 << 10) == cudaSuccess;
}

// An error that somebody else has left behind is not this launch's.
bool a_stale_error_is_not_a_launchs(Queue& queue) {
  if (launch(2000, 0) == cudaSuccess) return false;
  queue.run(idle, dim3(1), dim3(32), 0, 0);
  return true;
}

bool a_launch_that_cannot_be_is_an_error(Queue& queue) {
  try {
    queue.run(idle, dim3(1), dim3(32), 300 << 10, 0);
  } catch (const layer_fast::DeviceError& error) {
    return std::strstr(error.what(), "[test] expected a kernel to start, got CUDA error 9") != nullptr;
  }
  return false;
}

}  // namespace

int main(int count, char** words) {
  const char* wanted = count > 1 ? words[1] : "";
  int memory = 0;
  layer_fast::ArrayView view;
  view.data = &memory;
  Queue queue("test", view, 0);
  const auto is = [wanted](const char* name) { return std::strcmp(wanted, name) == 0; };
  bool good = false;
  if (is("shared")) good = shared_memory_is_not_taken_back(queue);
  if (is("stale")) good = a_stale_error_is_not_a_launchs(queue);
  if (is("impossible")) good = a_launch_that_cannot_be_is_an_error(queue);
  return good ? 0 : 1;
}
