// CUDA: the histogram of layer_reduce. Counts are integers, so atomics cannot change them: in shared memory where all
// bins of a map fit there, else in the result itself.
#include "ops/layer_reduce_cuda.hpp"

namespace layer_fast::impl {
namespace {

constexpr int kThreads = 256, kPerThread = 32, kSharedBins = 4096;

__global__ void add_bins(ReduceTask task, HistogramRange range, bool in_shared, unsigned long long* bins) {
  __shared__ std::uint32_t counts[kSharedBins];
  const std::int64_t k = blockIdx.x % task.maps_n, width = range.bins + std::int64_t{2}, all = task.rows * width;
  const double per_unit = range.bins / (range.high - range.low);
  const float* map = task.source.map(k);
  const std::uint8_t* labels = task.labels(k);
  for (int i = static_cast<int>(threadIdx.x); in_shared && i < all; i += kThreads) counts[i] = 0;
  __syncthreads();
  const std::int64_t first = blockIdx.x / task.maps_n * kThreads * kPerThread;
  for (int step = 0; step < kPerThread; ++step) {
    const std::int64_t i = first + step * kThreads + threadIdx.x;
    if (i >= task.voxels || labels[i] >= task.rows) continue;  // such a label is refused at the end
    const float value = map_value(task.source, map, i);
    if (!is_finite(value)) continue;
    const std::int64_t bin = labels[i] * width + histogram_bin(value, range.low, range.high, per_unit, range.bins);
    if (in_shared) {
      atomicAdd(&counts[bin], 1u);
    } else {
      atomicAdd(&bins[k * all + bin], 1ull);
    }
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); in_shared && i < all; i += kThreads) {
    if (counts[i] > 0) atomicAdd(&bins[k * all + i], static_cast<unsigned long long>(counts[i]));
  }
}

}  // namespace

void count_bins(cuda::Queue& queue, const ReduceTask& task, const HistogramRange& range, std::int64_t* bins) {
  const std::int64_t all = task.rows * (range.bins + std::int64_t{2});
  auto* const counts = reinterpret_cast<unsigned long long*>(bins);
  queue.set_zero(bins, task.maps_n * all);
  const auto maps_n = static_cast<unsigned>(task.maps_n);
  const dim3 grid(cuda::blocks_for(task.voxels, kThreads * kPerThread) * maps_n);
  queue.run(add_bins, grid, dim3(kThreads), 0, task, range, all <= kSharedBins, counts);
}

}  // namespace layer_fast::impl
