// CUDA: the histogram of integer intensities. Counts are integers, so atomics cannot change them. Bytes: a table a warp in
// shared memory, 16 bytes a thread; 16 or 512 equal ones, the usual background, are counted at once. 16 bit: in memory,
// where a warp whose voxels are all the same counts once. Moved: the volume (and mask) once. Limit: atomics.
#include <algorithm>

#include "layer_fast/error.hpp"
#include "ops/intensity_cuda.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "intensity_stats";
constexpr int kThreads = 256, kWarps = kThreads / 32, kBytes = 16, kSteps = 16;
constexpr unsigned kLanes = 0xffffffffu;

// As words, which are read at once.
struct alignas(kBytes) SixteenBytes {
  std::uint32_t words[kBytes / 4];
  __device__ std::uint32_t at(int i) const { return words[i / 4] >> (8 * (i % 4)) & 0xffu; }
  __device__ bool all_same() const {
    const std::uint32_t pattern = at(0) * 0x01010101u;
    return words[0] == pattern && words[1] == pattern && words[2] == pattern && words[3] == pattern;
  }
};

// All threads of a warp together.
__device__ void count_sixteen(const SixteenBytes& bytes, std::uint32_t* table) {
  const bool same = bytes.all_same();
  const std::uint32_t first = __shfl_sync(kLanes, bytes.at(0), 0);
  const bool together = __all_sync(kLanes, same && bytes.at(0) == first);
  if (together) {
    if (threadIdx.x % 32 == 0) atomicAdd(&table[bytes.at(0)], 32u * kBytes);
  } else if (same) {
    atomicAdd(&table[bytes.at(0)], static_cast<std::uint32_t>(kBytes));
  } else {
#pragma unroll
    for (int i = 0; i < kBytes; ++i) atomicAdd(&table[bytes.at(i)], 1u);
  }
}

__global__ void count_bytes(const std::uint8_t* values, const std::uint8_t* mask, std::int64_t voxels, bool wide,
                            unsigned long long* bins) {
  __shared__ std::uint32_t tables[kWarps][256];
  const int thread = static_cast<int>(threadIdx.x);
  for (int w = 0; w < kWarps; ++w) tables[w][thread] = 0;
  __syncthreads();
  std::uint32_t* const table = tables[thread / 32];
  const std::int64_t first = std::int64_t{blockIdx.x} * kThreads * kBytes * kSteps;
  for (int step = 0; step < kSteps; ++step) {
    const std::int64_t i = first + (std::int64_t{step} * kThreads + thread) * kBytes;
    const bool whole = wide && first + (std::int64_t{step} + 1) * kThreads * kBytes <= voxels;  // of the block's threads
    if (whole) {
      count_sixteen(*reinterpret_cast<const SixteenBytes*>(values + i), table);
    } else {
      for (std::int64_t j = i; j < i + kBytes && j < voxels; ++j) {
        if (mask == nullptr || mask[j] != 0) atomicAdd(&table[values[j]], 1u);
      }
    }
  }
  __syncthreads();
  unsigned long long total = 0;
  for (int w = 0; w < kWarps; ++w) total += tables[w][thread];
  if (total > 0) atomicAdd(&bins[thread], total);
}

// values from `least` on.
template <class T>
__global__ void count_words(const T* values, const std::uint8_t* mask, std::int64_t voxels, int least,
                            unsigned long long* bins) {
  const std::int64_t first = std::int64_t{blockIdx.x} * kThreads * kSteps;
  for (int step = 0; step < kSteps; ++step) {
    const std::int64_t i = first + std::int64_t{step} * kThreads + threadIdx.x;
    const bool counts = i < voxels && (mask == nullptr || mask[i] != 0);
    const int bin = counts ? values[i] - least : -1;
    const int first_bin = __shfl_sync(kLanes, bin, 0);
    const unsigned same = __ballot_sync(kLanes, counts && bin == first_bin);
    if (same == kLanes) {
      if (threadIdx.x % 32 == 0) atomicAdd(&bins[bin], 32ull);
    } else if (counts) {
      atomicAdd(&bins[bin], 1ull);
    }
  }
}

template <class T>
void run_words(cuda::Queue& queue, const ArrayView& volume, const std::uint8_t* mask, unsigned long long* bins) {
  const dim3 grid(cuda::blocks_for(volume.size(), kThreads * kSteps));
  queue.run(count_words<T>, grid, dim3(kThreads), 0, volume.in<T>(kOp), mask, volume.size(),
            static_cast<int>(std::numeric_limits<T>::min()), bins);
}

}  // namespace

void count_intensities(cuda::Queue& queue, const ArrayView& volume, const std::uint8_t* mask, std::int64_t* bins) {
  auto* const counts = reinterpret_cast<unsigned long long*>(bins);
  if (volume.size() == 0) return;
  switch (volume.dtype) {
    case Dtype::u8: {
      const auto* values = volume.in<std::uint8_t>(kOp);
      const bool wide = mask == nullptr && reinterpret_cast<std::uintptr_t>(values) % kBytes == 0;
      const dim3 grid(cuda::blocks_for(volume.size(), kThreads * kBytes * kSteps));
      return queue.run(count_bytes, grid, dim3(kThreads), 0, values, mask, volume.size(), wide, counts);
    }
    case Dtype::i16: return run_words<std::int16_t>(queue, volume, mask, counts);
    case Dtype::u16: return run_words<std::uint16_t>(queue, volume, mask, counts);
    default: refuse(kOp, "uint8, int16, uint16 or float32", dtype_name(volume.dtype));
  }
}

}  // namespace layer_fast::impl
