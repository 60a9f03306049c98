// A block makes a tile of some planes of output. For each plane it combines the input rows that the tile needs over z
// into shared memory; each thread then combines over y and x from there. Of two taps along z the plane that the next
// output needs again is kept in registers, so that inside of a tile every voxel is loaded once, and the next plane's
// loads are on their way while this plane's sums are made. Two buffers take turns: one barrier a plane.
#include "ops/separable_cuda.hpp"

#include <algorithm>

namespace layer_fast::impl {
namespace {

constexpr int kThreadsX = 32, kThreadsY = 8;
constexpr std::int64_t kMostBlocks = 65535;  // along y and z of a launch
constexpr int kKeptX = 3, kKeptY = 3;  // a kept patch: at most 96 x 24 voxels, nine to a thread

struct Tile {
  std::int64_t rows, columns, planes;  // of output
  unsigned deep;                       // tiles along z, which blockIdx.z counts scan by scan
  int span_y, span_x;                  // of input
  const std::int32_t *low_y, *low_x;
};

// The part of the input that a block reads of every plane.
template <class T>
struct Patch {
  const T* corner;
  std::int64_t ny, nx;  // pitch of the volume
  int high, wide;
};

template <int Width, class T>
__device__ float over_z(const Patch<T>& patch, const TapsView& tz, std::int64_t z, int y, int x) {
  const std::int32_t* index = tz.indices(z);
  const float* weight = tz.weights(z);
  const T* at = patch.corner + y * patch.nx + x;
  const std::int64_t plane = patch.ny * patch.nx;
  float sum = weight[0] * sample(at + index[0] * plane);
  const int width = Width > 0 ? Width : tz.width;
  for (int t = 1; t < width; ++t) sum = sum + weight[t] * sample(at + index[t] * plane);
  return sum;
}

// Two planes of a patch in registers, thread by thread the same voxels of every plane.
template <class T>
struct KeptPlanes {
  float low[kKeptY][kKeptX], high[kKeptY][kKeptX];
  std::int32_t low_plane = -1, high_plane = -1;

  __device__ void load(const Patch<T>& patch, std::int32_t plane, float (&values)[kKeptY][kKeptX]) {
    const T* at = patch.corner + plane * patch.ny * patch.nx;
#pragma unroll
    for (int j = 0; j < kKeptY; ++j) {
#pragma unroll
      for (int i = 0; i < kKeptX; ++i) {
        const int y = static_cast<int>(threadIdx.y) + j * kThreadsY, x = static_cast<int>(threadIdx.x) + i * kThreadsX;
        if (y < patch.high && x < patch.wide) values[j][i] = sample(at + y * patch.nx + x);
      }
    }
  }

  // Sees to it that the planes of output z are there, or on their way.
  __device__ void fetch(const Patch<T>& patch, const TapsView& tz, std::int64_t z) {
    const std::int32_t first = tz.indices(z)[0], second = tz.indices(z)[1];
    if (first == high_plane) {
#pragma unroll
      for (int j = 0; j < kKeptY; ++j) {
#pragma unroll
        for (int i = 0; i < kKeptX; ++i) low[j][i] = high[j][i];
      }
    } else if (first != low_plane) {
      load(patch, first, low);
    }
    low_plane = first;
    if (second != high_plane) load(patch, second, high);
    high_plane = second;
  }

  __device__ void write(const Patch<T>& patch, const TapsView& tz, std::int64_t z, int pitch, float* rows) const {
    const float w0 = tz.weights(z)[0], w1 = tz.weights(z)[1];
#pragma unroll
    for (int j = 0; j < kKeptY; ++j) {
#pragma unroll
      for (int i = 0; i < kKeptX; ++i) {
        const int y = static_cast<int>(threadIdx.y) + j * kThreadsY, x = static_cast<int>(threadIdx.x) + i * kThreadsX;
        if (y < patch.high && x < patch.wide) rows[y * pitch + x] = w0 * low[j][i] + w1 * high[j][i];
      }
    }
  }
};

template <int Width>
__device__ float over_y_x(const float* rows, int pitch, const TapsView& ty, const TapsView& tx, std::int64_t y,
                          std::int64_t x, int low_y, int low_x) {
  const std::int32_t *iy = ty.indices(y), *ix = tx.indices(x);
  const float *wy = ty.weights(y), *wx = tx.weights(x);
  const int width_y = Width > 0 ? Width : ty.width, width_x = Width > 0 ? Width : tx.width;
  float sum = 0;
  for (int c = 0; c < width_x; ++c) {
    const float* column_at = rows + (ix[c] - low_x);
    float column = wy[0] * column_at[(iy[0] - low_y) * pitch];
    for (int b = 1; b < width_y; ++b) column = column + wy[b] * column_at[(iy[b] - low_y) * pitch];
    sum = c == 0 ? wx[0] * column : sum + wx[c] * column;
  }
  return sum;
}

template <int Width, bool Keeps, class T, class Out>
__global__ void __launch_bounds__(kThreadsX* kThreadsY)
    tile_kernel(const T* in, Extent size, TapsView tz, TapsView ty, TapsView tx, Tile tile, Out* out, Extent made,
                Epilogue epilogue) {
  LF_DYNAMIC_SHARED(float, buffers);
  in += blockIdx.z / tile.deep * (size.z * size.y * size.x);
  out += blockIdx.z / tile.deep * (made.z * made.y * made.x);
  const int low_y = tile.low_y[blockIdx.y], low_x = tile.low_x[blockIdx.x];
  const int high = static_cast<int>(size.y - low_y), wide = static_cast<int>(size.x - low_x);
  const Patch<T> patch{in + low_y * size.x + low_x, size.y, size.x, high < tile.span_y ? high : tile.span_y,
                       wide < tile.span_x ? wide : tile.span_x};
  const std::int64_t y0 = blockIdx.y * tile.rows, x0 = blockIdx.x * tile.columns, z0 = blockIdx.z % tile.deep * tile.planes;
  const std::int64_t y1 = y0 + tile.rows < made.y ? y0 + tile.rows : made.y;
  const std::int64_t x1 = x0 + tile.columns < made.x ? x0 + tile.columns : made.x;
  const std::int64_t z1 = z0 + tile.planes < made.z ? z0 + tile.planes : made.z;
  KeptPlanes<T> kept;
  if constexpr (Keeps) kept.fetch(patch, tz, z0);
  for (std::int64_t z = z0; z < z1; ++z) {
    float* rows = buffers + (z - z0) % 2 * tile.span_y * tile.span_x;
    if constexpr (Keeps) {
      kept.write(patch, tz, z, tile.span_x, rows);
      if (z + 1 < z1) kept.fetch(patch, tz, z + 1);
    } else {
      for (int y = static_cast<int>(threadIdx.y); y < patch.high; y += kThreadsY) {
        for (int x = static_cast<int>(threadIdx.x); x < patch.wide; x += kThreadsX) {
          rows[y * tile.span_x + x] = over_z<Width>(patch, tz, z, y, x);
        }
      }
    }
    __syncthreads();
    for (std::int64_t y = y0 + threadIdx.y; y < y1; y += kThreadsY) {
      for (std::int64_t x = x0 + threadIdx.x; x < x1; x += kThreadsX) {
        const float value = over_y_x<Width>(rows, tile.span_x, ty, tx, y, x, low_y, low_x);
        out[(z * made.y + y) * made.x + x] = finished<Out>(value, epilogue);
      }
    }
  }
}

// Where a tile's input is larger than shared memory: every output by itself.
template <class T, class Out>
__global__ void voxel_kernel(const T* in, Extent size, TapsView tz, TapsView ty, TapsView tx, Out* out, Extent made,
                             Epilogue epilogue, std::int64_t scans) {
  const std::int64_t count = scans * made.z * made.y * made.x, step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    const std::int64_t x = i % made.x, y = i / made.x % made.y, plane = i / made.x / made.y;
    const std::int64_t scan = scans == 1 ? 0 : plane / made.z, z = plane - scan * made.z;
    const T* volume = in + scan * size.z * size.y * size.x;
    out[i] = finished<Out>(separable_sum<0>(volume, size.y, size.x, tz, ty, tx, z, y, x), epilogue);
  }
}

// Tiles from large to small until their input fits; the data decides, never the device.
struct Tiling {
  Runs y, x;
  bool fits = false;
  bool keeps = false;
};

Tiling tiling_of(const AxisTaps& taps_y, const AxisTaps& taps_x) {
  constexpr std::int64_t most = 6144;  // floats: 48 KiB for two buffers, which every GPU gives without being asked
  constexpr std::int64_t sizes[][2] = {{16, 64}, {16, 32}, {8, 32}, {4, 32}, {2, 16}, {1, 8}};
  for (const auto& [rows, columns] : sizes) {
    Tiling tiling{runs_of(taps_y, rows), runs_of(taps_x, columns), true, false};
    const std::int64_t span = static_cast<std::int64_t>(tiling.y.span) * tiling.x.span;
    if (span > most || tiling.y.low.size() > kMostBlocks) continue;
    tiling.keeps = tiling.y.span <= kKeptY * kThreadsY && tiling.x.span <= kKeptX * kThreadsX;
    return tiling;
  }
  return {};
}

std::int64_t planes_per_block(std::int64_t planes, std::int64_t tiles) {
  std::int64_t step = 8;
  while (step > 1 && tiles * ((planes + step - 1) / step) < 2048) step /= 2;
  while ((planes + step - 1) / step > kMostBlocks) step *= 2;
  return step;
}

}  // namespace

Runs runs_of(const AxisTaps& taps, std::int64_t step) {
  Runs runs{step, 1, {}};
  for (std::int64_t first = 0; first < taps.size(); first += step) {
    const std::int64_t end = std::min(first + step, taps.size());
    const auto [low, high] = std::minmax_element(taps.indices(first), taps.indices(end));
    runs.low.push_back(*low);
    runs.span = std::max(runs.span, *high - *low + 1);
  }
  return runs;
}

template <class T, class Out>
void separable_cuda(cuda::Queue& queue, const T* in, Extent size, const AxisTaps& z, const AxisTaps& y,
                    const AxisTaps& x, Out* out, Extent made, const Epilogue& epilogue, std::int64_t scans) {
  const TapsOnDevice taps(queue, z, y, x);
  const Tiling tiling = tiling_of(y, x);
  if (!tiling.fits) {
    const unsigned blocks = static_cast<unsigned>(std::min<std::int64_t>((scans * made.z * made.y * made.x + 255) / 256, 1 << 20));
    return queue.run(voxel_kernel<T, Out>, blocks, 256, 0, in, size, taps.z, taps.y, taps.x, out, made, epilogue, scans);
  }
  std::vector<std::int32_t> low = tiling.y.low;
  low.insert(low.end(), tiling.x.low.begin(), tiling.x.low.end());
  const auto lows = queue.upload(low);
  const auto tiles_y = static_cast<unsigned>(tiling.y.low.size()), tiles_x = static_cast<unsigned>(tiling.x.low.size());
  const std::int64_t planes = planes_per_block(made.z, scans * tiles_y * tiles_x);
  const Tile tile{tiling.y.step, tiling.x.step, planes, cuda::blocks_for(made.z, planes), tiling.y.span, tiling.x.span,
                  lows.data(), lows.data() + tiles_y};
  const std::size_t shared = 2 * sizeof(float) * static_cast<std::size_t>(tile.span_y) * static_cast<std::size_t>(tile.span_x);
  const std::int64_t at_once = std::min<std::int64_t>(scans, kMostBlocks / tile.deep);
  const auto run = [&](auto kernel) {
    for (std::int64_t first = 0; first < scans; first += at_once) {
      const auto deep = static_cast<unsigned>(std::min(at_once, scans - first)) * tile.deep;
      queue.run(kernel, dim3(tiles_x, tiles_y, deep), dim3(kThreadsX, kThreadsY), shared,
                in + first * size.z * size.y * size.x, size, taps.z, taps.y, taps.x, tile,
                out + first * made.z * made.y * made.x, made, epilogue);
    }
  };
  const bool two = z.width == 2 && y.width == 2 && x.width == 2, four = z.width == 4 && y.width == 4 && x.width == 4;
  if (two && tiling.keeps) return run(tile_kernel<2, true, T, Out>);
  if (four) return run(tile_kernel<4, false, T, Out>);
  run(tile_kernel<0, false, T, Out>);
}

template void separable_cuda(cuda::Queue&, const std::uint8_t*, Extent, const AxisTaps&, const AxisTaps&,
                             const AxisTaps&, std::uint8_t*, Extent, const Epilogue&, std::int64_t);
template void separable_cuda(cuda::Queue&, const std::int16_t*, Extent, const AxisTaps&, const AxisTaps&,
                             const AxisTaps&, std::int16_t*, Extent, const Epilogue&, std::int64_t);
template void separable_cuda(cuda::Queue&, const std::uint16_t*, Extent, const AxisTaps&, const AxisTaps&,
                             const AxisTaps&, std::uint16_t*, Extent, const Epilogue&, std::int64_t);
template void separable_cuda(cuda::Queue&, const std::uint8_t*, Extent, const AxisTaps&, const AxisTaps&,
                             const AxisTaps&, float*, Extent, const Epilogue&, std::int64_t);
template void separable_cuda(cuda::Queue&, const std::int16_t*, Extent, const AxisTaps&, const AxisTaps&,
                             const AxisTaps&, float*, Extent, const Epilogue&, std::int64_t);
template void separable_cuda(cuda::Queue&, const std::uint16_t*, Extent, const AxisTaps&, const AxisTaps&,
                             const AxisTaps&, float*, Extent, const Epilogue&, std::int64_t);
template void separable_cuda(cuda::Queue&, const float*, Extent, const AxisTaps&, const AxisTaps&, const AxisTaps&,
                             float*, Extent, const Epilogue&, std::int64_t);
template void separable_cuda(cuda::Queue&, const float*, Extent, const AxisTaps&, const AxisTaps&, const AxisTaps&,
                             std::uint8_t*, Extent, const Epilogue&, std::int64_t);
template void separable_cuda(cuda::Queue&, const float*, Extent, const AxisTaps&, const AxisTaps&, const AxisTaps&,
                             std::int16_t*, Extent, const Epilogue&, std::int64_t);
template void separable_cuda(cuda::Queue&, const float*, Extent, const AxisTaps&, const AxisTaps&, const AxisTaps&,
                             std::uint16_t*, Extent, const Epilogue&, std::int64_t);

}  // namespace layer_fast::impl
