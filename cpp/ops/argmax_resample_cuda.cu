// Onto a finer grid: first every voxel of the logits' grid is decided or left open, which reads the logits once and
// finds those that are not finite; then an output whose eight corners agree takes their class, and only the others are
// interpolated. See Note [Voxels that are decided early] in cpp/README.md: the labels are those of interpolating all.
#include <algorithm>
#include <string>

#include "kernels/argmax_rows.hpp"
#include "layer_fast/error.hpp"
#include "ops/argmax_resample_impl.hpp"
#include "ops/argmax_resample_voxel.hpp"
#include "ops/oblique_voxel.hpp"
#include "ops/resample_volume_cuda.hpp"
#include "runtime/cuda/cuda_queue.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "argmax_resample";
constexpr std::uint8_t kOpen = kernels::kOpen;

struct Logits {
  const float* data;
  int classes;
  Extent size;
  __device__ std::int64_t volume() const { return size.z * size.y * size.x; }
};

struct MapRows {
  double row[12];
};

__device__ bool is_finite(float v) { return (__float_as_uint(v) & 0x7fffffffu) < 0x7f800000u; }

__device__ void count_bad(unsigned bad, unsigned long long* total) {
  for (int lanes = 16; lanes > 0; lanes /= 2) bad += __shfl_xor_sync(0xffffffffu, bad, lanes);
  if (threadIdx.x % 32 == 0 && bad > 0) atomicAdd(total, static_cast<unsigned long long>(bad));
}

// The class that leads by more than rounding can hide, else kOpen; and how many logits are not finite.
__global__ void decide_kernel(Logits logits, std::uint8_t* decided, unsigned long long* bad) {
  const std::int64_t n = logits.volume(), step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  unsigned here = 0;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) {
    float best = __ldg(logits.data + i), second = -__uint_as_float(0x7f800000u);
    float largest = best < 0 ? -best : best;
    here += is_finite(best) ? 0u : 1u;
    std::int32_t winner = 0;
    for (int k = 1; k < logits.classes; ++k) {
      const float v = __ldg(logits.data + k * n + i), size = v < 0 ? -v : v, lesser = v < best ? v : best;
      here += is_finite(v) ? 0u : 1u;
      second = lesser > second ? lesser : second;
      largest = size > largest ? size : largest;
      voxel::take_larger(v, k, best, winner);
    }
    const bool leads = best - second > kernels::kDecidedRelative * largest + kernels::kDecidedAbsolute;
    decided[i] = leads ? static_cast<std::uint8_t>(winner) : kOpen;
  }
  count_bad(here, bad);
}

__global__ void finite_kernel(const float* logits, std::int64_t n, unsigned long long* bad) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  unsigned here = 0;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) {
    here += is_finite(__ldg(logits + i)) ? 0u : 1u;
  }
  count_bad(here, bad);
}

// The class that all corners of the output's cell were decided for, or kOpen.
__device__ std::uint8_t agreed(const std::uint8_t* decided, const Extent& size, const TapsView& tz, const TapsView& ty,
                               const TapsView& tx, std::int64_t z, std::int64_t y, std::int64_t x) {
  const std::int32_t *iz = tz.indices(z), *iy = ty.indices(y), *ix = tx.indices(x);
  const std::uint8_t first = __ldg(decided + (iz[0] * size.y + iy[0]) * size.x + ix[0]);
  unsigned differ = 0;
  for (int a = 0; a < tz.width; ++a) {
    for (int b = 0; b < ty.width; ++b) {
      for (int c = 0; c < tx.width; ++c) {
        differ |= static_cast<unsigned>(first ^ __ldg(decided + (iz[a] * size.y + iy[b]) * size.x + ix[c]));
      }
    }
  }
  return differ == 0 ? first : kOpen;
}

// decided: null where the logits' own voxels were not looked at.
__global__ void separable_kernel(Logits logits, const std::uint8_t* decided, TapsView tz, TapsView ty, TapsView tx,
                                 std::uint8_t* out, Extent made) {
  const Extent size = logits.size;
  for_voxels(made, [&](std::int64_t z, std::int64_t y, std::int64_t x) {
    std::uint8_t* to = out + (z * made.y + y) * made.x + x;
    const std::uint8_t early = decided == nullptr ? kOpen : agreed(decided, size, tz, ty, tx, z, y, x);
    if (early != kOpen) {
      *to = early;
      return;
    }
    float best = separable_sum<0>(logits.data, size.y, size.x, tz, ty, tx, z, y, x);
    std::int32_t label = 0;
    for (int k = 1; k < logits.classes; ++k) {
      const float* volume = logits.data + k * logits.volume();
      voxel::take_larger(separable_sum<0>(volume, size.y, size.x, tz, ty, tx, z, y, x), k, best, label);
    }
    *to = static_cast<std::uint8_t>(label);
  });
}

__global__ void oblique_kernel(Logits logits, MapRows map, std::uint8_t* out, Extent made) {
  const Extent size = logits.size;
  for_voxels(made, [&](std::int64_t z, std::int64_t y, std::int64_t x) {
    const auto tz = voxel::taps_at(voxel::mapped(map.row, z, y, x), size.z, Interpolation::linear);
    const auto ty = voxel::taps_at(voxel::mapped(map.row + 4, z, y, x), size.y, Interpolation::linear);
    const auto tx = voxel::taps_at(voxel::mapped(map.row + 8, z, y, x), size.x, Interpolation::linear);
    float best = -__uint_as_float(0x7f800000u);
    std::int32_t label = 0;
    for (int k = 0; k < logits.classes; ++k) {
      const float* volume = logits.data + k * logits.volume();
      voxel::take_larger(voxel::sum_taps(volume, size.y, size.x, tz, ty, tx), k, best, label);
    }
    out[(z * made.y + y) * made.x + x] = static_cast<std::uint8_t>(label);
  });
}

unsigned blocks_of(std::int64_t n) { return static_cast<unsigned>(std::min<std::int64_t>((n + 255) / 256, 8192)); }

void separable(cuda::Queue& queue, const Logits& logits, const GridAxes& axes, std::uint8_t* out, const Extent& made,
               unsigned long long* bad) {
  const auto taps = [](const voxel::AxisMap& axis) { return interpolation_taps(axis, Interpolation::linear, false); };
  const TapsOnDevice on_device(queue, taps(axes.z), taps(axes.y), taps(axes.x));
  const std::int64_t n = logits.size.z * logits.size.y * logits.size.x;
  const bool early = made.z * made.y * made.x >= 2 * n;  // else looking first spares less than it costs
  cuda::Scratch<std::uint8_t> decided;
  if (early) {
    decided = queue.scratch<std::uint8_t>(n);
    queue.run(decide_kernel, blocks_of(n), 256, 0, logits, decided.data(), bad);
  } else {
    queue.run(finite_kernel, blocks_of(n * logits.classes), 256, 0, logits.data, n * logits.classes, bad);
  }
  queue.run(separable_kernel, grid_of(made), {kBlockX, kBlockY}, 0, logits, decided.data(), on_device.z, on_device.y,
            on_device.x, out, made);
}

}  // namespace

void argmax_resample_cuda(const ArrayView& logits, const ArrayView& out, const std::optional<GridMap>& grid_map,
                          std::uintptr_t stream) {
  cuda::Queue queue(kOp, out, stream);
  const Logits in{logits.in<float>(kOp), static_cast<int>(logits.shape[0]),
                  {logits.shape[1], logits.shape[2], logits.shape[3]}};
  const Extent made{out.shape[0], out.shape[1], out.shape[2]};
  std::uint8_t* labels = out.out<std::uint8_t>(kOp);
  const auto bad = queue.zeros<unsigned long long>(1);
  if (const auto axes = separable_axes(logits, out, grid_map, 1, 0)) {
    separable(queue, in, *axes, labels, made, bad.data());
  } else {
    MapRows map{};
    for (int i = 0; i < 12; ++i) map.row[i] = (*grid_map)[static_cast<std::size_t>(i)];
    queue.run(finite_kernel, blocks_of(logits.size()), 256, 0, in.data, logits.size(), bad.data());
    queue.run(oblique_kernel, grid_of(made), {kBlockX, kBlockY}, 0, in, map, labels, made);
  }
  const unsigned long long found = queue.read(bad.data(), 1)[0];  // the one wait: whether the labels mean something
  if (found > 0) refuse(kOp, "finite logits", std::to_string(found) + " that are NaN or infinite");
}

}  // namespace layer_fast::impl
