// The recursive filter runs down lines, so a thread has a line: along y and z neighbouring threads have neighbouring
// lines; along x a warp turns 32 x 32 tiles in shared memory.
#include "ops/bspline_cuda.hpp"

#include <algorithm>

#include "ops/bspline_line.hpp"
#include "ops/separable_cuda.hpp"

namespace layer_fast::impl {
namespace {

constexpr int kSide = 32, kPitch = 33;  // a tile's pitch keeps its columns in different banks

template <class T>
__global__ void convert_kernel(const T* in, float* out, std::int64_t count) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    out[i] = static_cast<float>(in[i]);
  }
}

// `lines` lines of n > 1 samples, `stride` apart; line i begins at i % stride + i / stride * stride * n.
__global__ void columns_kernel(float* data, std::int64_t n, std::int64_t stride, std::int64_t lines) {
  const std::int64_t line = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (line >= lines) return;
  float* first = data + line % stride + line / stride * stride * n;
  float run = voxel::bspline_start(n, [&](std::int64_t k) { return first[k * stride]; });
  first[0] = run;
  for (std::int64_t k = 1; k < n - 1; ++k) first[k * stride] = run = voxel::bspline_causal(first[k * stride], run);
  run = voxel::bspline_last(voxel::bspline_causal(first[(n - 1) * stride], run), run);
  first[(n - 1) * stride] = run;
  for (std::int64_t k = n - 2; k >= 0; --k) {
    first[k * stride] = run = voxel::bspline_anticausal(first[k * stride], run);
  }
}

// A tile of up to 32 rows and 32 columns between memory and shared memory, row by row.
__device__ void load_tile(const float* rows, std::int64_t nx, std::int64_t x0, int high, float* tile) {
  const int lane = static_cast<int>(threadIdx.x);
  for (int r = 0; r < high; ++r) {
    if (x0 + lane < nx) tile[r * kPitch + lane] = rows[r * nx + x0 + lane];
  }
  __syncwarp();
}

__device__ void store_tile(float* rows, std::int64_t nx, std::int64_t x0, int high, const float* tile) {
  const int lane = static_cast<int>(threadIdx.x);
  __syncwarp();
  for (int r = 0; r < high; ++r) {
    if (x0 + lane < nx) rows[r * nx + x0 + lane] = tile[r * kPitch + lane];
  }
  __syncwarp();
}

// One warp to 32 rows of n > 1 samples; lane r filters row r.
__global__ void rows_kernel(float* data, std::int64_t n, std::int64_t count) {
  LF_DYNAMIC_SHARED(float, tile);
  const std::int64_t row0 = static_cast<std::int64_t>(blockIdx.x) * kSide;
  const int high = count - row0 < kSide ? static_cast<int>(count - row0) : kSide;
  const int lane = static_cast<int>(threadIdx.x);
  float* rows = data + row0 * n;
  float* own = tile + lane * kPitch;
  const bool mine = lane < high;
  float run = 0;
  if (mine) run = voxel::bspline_start(n, [&](std::int64_t k) { return rows[lane * n + k]; });
  __syncwarp();  // all starts are read before the first tile is written
  const std::int64_t tiles = (n + kSide - 1) / kSide;
  for (std::int64_t t = 0; t < tiles; ++t) {
    load_tile(rows, n, t * kSide, high, tile);
    const int wide = n - t * kSide < kSide ? static_cast<int>(n - t * kSide) : kSide;
    for (int i = 0; mine && i < wide; ++i) {
      if (t + i == 0) {
        own[i] = run;
      } else if (t * kSide + i < n - 1) {
        own[i] = run = voxel::bspline_causal(own[i], run);
      } else {
        own[i] = run = voxel::bspline_last(voxel::bspline_causal(own[i], run), run);
      }
    }
    store_tile(rows, n, t * kSide, high, tile);
  }
  for (std::int64_t t = tiles - 1; t >= 0; --t) {
    load_tile(rows, n, t * kSide, high, tile);
    const int wide = n - t * kSide < kSide ? static_cast<int>(n - t * kSide) : kSide;
    for (int i = wide - 1; mine && i >= 0; --i) {
      if (t * kSide + i < n - 1) own[i] = run = voxel::bspline_anticausal(own[i], run);
    }
    store_tile(rows, n, t * kSide, high, tile);
  }
}

constexpr int kSumX = 64, kSumZ = 4;

// Sums along z. A block: 64 neighbours of a plane and a run of outputs; their samples wait in shared memory.
template <class T>
__global__ void sum_z_kernel(const T* in, std::int64_t nz, std::int64_t plane, TapsView tz, const std::int32_t* lows,
                             std::int64_t step, int span, float* out, std::int64_t planes) {
  LF_DYNAMIC_SHARED(float, samples);
  const std::int64_t voxel = static_cast<std::int64_t>(blockIdx.x) * kSumX + threadIdx.x;
  const std::int64_t low = lows[blockIdx.y], z0 = blockIdx.y * step;
  const std::int64_t z1 = z0 + step < planes ? z0 + step : planes;
  for (std::int64_t i = threadIdx.y; i < span && low + i < nz && voxel < plane; i += kSumZ) {
    samples[i * kSumX + threadIdx.x] = sample(in + (low + i) * plane + voxel);
  }
  __syncthreads();
  for (std::int64_t z = z0 + threadIdx.y; z < z1 && voxel < plane; z += kSumZ) {
    const std::int32_t* index = tz.indices(z);
    const float* weight = tz.weights(z);
    float sum = weight[0] * samples[(index[0] - low) * kSumX + threadIdx.x];
    for (int t = 1; t < tz.width; ++t) sum = sum + weight[t] * samples[(index[t] - low) * kSumX + threadIdx.x];
    out[z * plane + voxel] = sum;
  }
}

void filter_planes(cuda::Queue& queue, float* data, const Extent& size) {
  if (size.x > 1) {
    const std::int64_t rows = size.z * size.y;
    queue.run(rows_kernel, cuda::blocks_for(rows, kSide), kSide, sizeof(float) * kSide * kPitch, data, size.x, rows);
  }
  if (size.y > 1) {
    const std::int64_t lines = size.z * size.x;
    queue.run(columns_kernel, cuda::blocks_for(lines, 64), 64, 0, data, size.y, size.x, lines);
  }
}

template <class T>
void sum_along_z(cuda::Queue& queue, const T* in, const Extent& size, const TapsView& on_device, const AxisTaps& taps,
                 float* planes, std::int64_t count) {
  std::int64_t step = 32;  // outputs of a block: fewer where their samples would be many
  while (step > 1 && runs_of(taps, step).span > 96) step /= 2;
  while ((count + step - 1) / step > 65535) step *= 2;
  const Runs runs = runs_of(taps, step);
  const auto lows = queue.upload(runs.low);
  const std::int64_t plane = size.y * size.x;
  const dim3 grid(cuda::blocks_for(plane, kSumX), static_cast<unsigned>(runs.low.size())), block(kSumX, kSumZ);
  const std::size_t shared = sizeof(float) * kSumX * static_cast<std::size_t>(runs.span);
  queue.run(sum_z_kernel<T>, grid, block, shared, in, size.z, plane, on_device, lows.data(), step, runs.span, planes, count);
}

}  // namespace

template <class T>
void bspline_prefilter_cuda(cuda::Queue& queue, const T* in, float* coefficients, Extent size) {
  const std::int64_t count = size.z * size.y * size.x;
  const auto blocks = static_cast<unsigned>(std::min<std::int64_t>((count + 255) / 256, 1 << 20));
  queue.run(convert_kernel<T>, blocks, 256, 0, in, coefficients, count);
  filter_planes(queue, coefficients, size);
  if (size.z == 1) return;
  const std::int64_t lines = size.y * size.x;
  queue.run(columns_kernel, cuda::blocks_for(lines, 64), 64, 0, coefficients, size.z, lines, lines);
}

template <class T, class Out>
void bspline_planes_cuda(cuda::Queue& queue, const T* in, Extent size, const GridAxes& axes, Out* out, Extent made,
                         const Epilogue& epilogue) {
  const AxisTaps tz = cardinal_taps(axes.z), ty = interpolation_taps(axes.y, Interpolation::bspline, false);
  const AxisTaps tx = interpolation_taps(axes.x, Interpolation::bspline, false);
  const auto planes = queue.scratch<float>(made.z * size.y * size.x);
  {
    const TapsOnDevice taps(queue, tz, ty, tx);
    sum_along_z(queue, in, size, taps.z, tz, planes.data(), made.z);
  }
  const Extent between{made.z, size.y, size.x};
  filter_planes(queue, planes.data(), between);
  AxisTaps each;  // every plane as it is: 1 * x is x
  for (std::int64_t z = 0; z < made.z; ++z) {
    each.index.push_back(static_cast<std::int32_t>(z));
    each.weight.push_back(1);
  }
  separable_cuda(queue, planes.data(), between, each, ty, tx, out, made, epilogue);
}

#define LF_BSPLINE(T)                                                                                                 \
  template void bspline_prefilter_cuda(cuda::Queue&, const T*, float*, Extent);                                       \
  template void bspline_planes_cuda(cuda::Queue&, const T*, Extent, const GridAxes&, float*, Extent, const Epilogue&);
LF_BSPLINE(std::uint8_t)
LF_BSPLINE(std::int16_t)
LF_BSPLINE(std::uint16_t)
LF_BSPLINE(float)
template void bspline_planes_cuda(cuda::Queue&, const std::uint8_t*, Extent, const GridAxes&, std::uint8_t*, Extent,
                                  const Epilogue&);
template void bspline_planes_cuda(cuda::Queue&, const std::int16_t*, Extent, const GridAxes&, std::int16_t*, Extent,
                                  const Epilogue&);
template void bspline_planes_cuda(cuda::Queue&, const std::uint16_t*, Extent, const GridAxes&, std::uint16_t*, Extent,
                                  const Epilogue&);

}  // namespace layer_fast::impl
