// Fractions of labels. A thread has one output voxel: it looks which labels its box holds, most often one, and sums the
// weights of each of those as the CPU twin does; the others' fractions are 0.
#include <algorithm>
#include <string>

#include "layer_fast/error.hpp"
#include "ops/resample_cuda_voxel.hpp"
#include "ops/resample_labels_impl.hpp"
#include "ops/resample_volume_cuda.hpp"
#include "runtime/cuda/cuda_queue.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "resample_labels";

// The taps of one output voxel and the labels under them.
struct Box {
  const std::uint8_t* labels;
  std::int64_t ny, nx;
  const std::int32_t *iz, *iy, *ix;
  const float *wz, *wy, *wx;
  int width_z, width_y, width_x;

  __device__ std::uint8_t label(int a, int b, int c) const { return __ldg(labels + (iz[a] * ny + iy[b]) * nx + ix[c]); }

  // The CPU's sums: weights over y and z from 0 in the order y outside z, then over x begun by its first product.
  __device__ float fraction(std::int32_t wanted) const {
    float sum = 0;
    for (int c = 0; c < width_x; ++c) {
      float column = 0;
      for (int b = 0; b < width_y; ++b) {
        for (int a = 0; a < width_z; ++a) {
          const float weight = wy[b] * wz[a];
          if (weight != 0 && label(a, b, c) == wanted) column += weight;
        }
      }
      sum = c == 0 ? wx[0] * column : sum + wx[c] * column;
    }
    return sum;
  }

  __device__ void range(std::int32_t& low, std::int32_t& high) const {
    for (int c = 0; c < width_x; ++c) {
      for (int b = 0; b < width_y; ++b) {
        for (int a = 0; a < width_z; ++a) {
          const std::int32_t here = label(a, b, c);
          low = here < low ? here : low;
          high = here > high ? here : high;
        }
      }
    }
  }
};

__global__ void fraction_kernel(const std::uint8_t* labels, Extent size, TapsView tz, TapsView ty, TapsView tx,
                                float* out, Extent made, std::int32_t count) {
  const std::int64_t volume = made.z * made.y * made.x;
  for_voxels(made, [&](std::int64_t z, std::int64_t y, std::int64_t x) {
    const Box box{labels,         size.y,        size.x,        tz.indices(z), ty.indices(y), tx.indices(x),
                  tz.weights(z),  ty.weights(y), tx.weights(x), tz.width,      ty.width,      tx.width};
    std::int32_t low = 255, high = 0;
    box.range(low, high);
    float* to = out + (z * made.y + y) * made.x + x;
    for (std::int32_t k = 0; k < count; ++k) to[k * volume] = k < low || k > high ? 0.0f : box.fraction(k);
  });
}

// The largest label: a warp's largest first, so that there are few atomics.
__global__ void largest_kernel(const std::uint8_t* labels, std::int64_t n, int* largest) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  int most = 0;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) {
    const int here = __ldg(labels + i);
    most = here > most ? here : most;
  }
  for (int lanes = 16; lanes > 0; lanes /= 2) {
    const int other = __shfl_xor_sync(0xffffffffu, most, lanes);
    most = other > most ? other : most;
  }
  if (threadIdx.x % 32 == 0) atomicMax(largest, most);
}

}  // namespace

void resample_labels_cuda(const ArrayView& labels, const ArrayView& out, const std::optional<GridMap>& grid_map,
                          std::uintptr_t stream) {
  cuda::Queue queue(kOp, out, stream);
  const std::uint8_t* in = labels.in<std::uint8_t>(kOp);
  const auto largest = queue.zeros<int>(1);
  const auto blocks = static_cast<unsigned>(std::min<std::int64_t>((labels.size() + 2047) / 2048, 4096));
  queue.run(largest_kernel, blocks, 256, 0, in, labels.size(), largest.data());
  const GridAxes axes = *separable_axes(labels, out, grid_map, 0, 1);
  const TapsOnDevice taps(queue, box_taps(axes.z), box_taps(axes.y), box_taps(axes.x));
  const Extent size{labels.shape[0], labels.shape[1], labels.shape[2]}, made{out.shape[1], out.shape[2], out.shape[3]};
  queue.run(fraction_kernel, grid_of(made), {kBlockX, kBlockY}, 0, in, size, taps.z, taps.y, taps.x,
            out.out<float>(kOp), made, static_cast<std::int32_t>(out.shape[0]));
  const int found = queue.read(largest.data(), 1)[0];  // the one wait: whether the labels were labels
  expects(found < out.shape[0], kOp, "labels below num_labels = " + std::to_string(out.shape[0]),
          "label " + std::to_string(found));
}

}  // namespace layer_fast::impl
