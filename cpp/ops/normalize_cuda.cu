// CUDA: normalize. Bytes are looked up in a table that each block makes with the voxel function itself; the others are
// changed one by one in float64. Moved: the volume's own bytes and 4 a voxel. Limit: memory; float32 and 16 bit on cards
// with float64 at 1/64 (8.6, 8.9): the four float64 instructions a voxel.
#include "layer_fast/error.hpp"
#include "ops/normalize_impl.hpp"
#include "ops/normalize_voxel.hpp"
#include "runtime/cuda/cuda_queue.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "normalize";
constexpr int kThreads = 256, kWidth = 4, kPerThread = 4;  // voxels read at once, and how often

struct DeviceLine {
  double shift, factor;
  bool clip;
};

template <class T>
struct alignas(kWidth * sizeof(T)) Packed {
  T at[kWidth];
};

// How one voxel changes: by the line, or for bytes by the table of all of them.
template <class T>
struct Change {
  static constexpr int kTable = 1;
  __device__ static void prepare(const DeviceLine&, float*) {}
  __device__ static float of(T value, const DeviceLine& line, const float*) {
    return normalize_voxel(static_cast<double>(value), line.shift, line.factor, line.clip);
  }
};
template <>
struct Change<std::uint8_t> {
  static constexpr int kTable = 256;
  __device__ static void prepare(const DeviceLine& line, float* table) {
    for (int i = static_cast<int>(threadIdx.x); i < kTable; i += kThreads) {
      table[i] = normalize_voxel(i, line.shift, line.factor, line.clip);
    }
  }
  __device__ static float of(std::uint8_t value, const DeviceLine&, const float* table) { return table[value]; }
};

// `in` may be `out`: a thread reads its voxels before it writes them.
template <class T>
__global__ void change_voxels(const T* in, std::int64_t voxels, DeviceLine line, bool aligned, float* out) {
  __shared__ float table[Change<T>::kTable];
  Change<T>::prepare(line, table);
  __syncthreads();
  const std::int64_t first = std::int64_t{blockIdx.x} * kThreads * kWidth * kPerThread;
  for (int turn = 0; turn < kPerThread; ++turn) {
    const std::int64_t i = first + (std::int64_t{turn} * kThreads + threadIdx.x) * kWidth;
    if (aligned && i + kWidth <= voxels) {
      const auto values = *reinterpret_cast<const Packed<T>*>(in + i);
      Packed<float> changed;
      for (int j = 0; j < kWidth; ++j) changed.at[j] = Change<T>::of(values.at[j], line, table);
      *reinterpret_cast<Packed<float>*>(out + i) = changed;
    } else {
      for (std::int64_t j = i; j < i + kWidth && j < voxels; ++j) out[j] = Change<T>::of(in[j], line, table);
    }
  }
}

template <class T>
void run(cuda::Queue& queue, const ArrayView& volume, const DeviceLine& line, float* out) {
  const T* in = volume.in<T>(kOp);
  const bool aligned = reinterpret_cast<std::uintptr_t>(in) % alignof(Packed<T>) == 0 &&
                       reinterpret_cast<std::uintptr_t>(out) % alignof(Packed<float>) == 0;
  if (volume.size() == 0) return;
  const dim3 grid(cuda::blocks_for(volume.size(), kThreads * kWidth * kPerThread));
  queue.run(change_voxels<T>, grid, dim3(kThreads), 0, in, volume.size(), line, aligned, out);
}

}  // namespace

void normalize_cuda(const ArrayView& volume, const ArrayView& out, double shift, double scale, bool clip,
                    std::uintptr_t stream) {
  cuda::Queue queue(kOp, volume, stream);
  auto* const to = out.out<float>(kOp);
  const DeviceLine line{shift, 1.0 / scale, clip};
  switch (volume.dtype) {
    case Dtype::u8: return run<std::uint8_t>(queue, volume, line, to);
    case Dtype::i16: return run<std::int16_t>(queue, volume, line, to);
    case Dtype::u16: return run<std::uint16_t>(queue, volume, line, to);
    case Dtype::f32: return run<float>(queue, volume, line, to);
    default: refuse(kOp, "uint8, int16, uint16 or float32", dtype_name(volume.dtype));
  }
}

}  // namespace layer_fast::impl
