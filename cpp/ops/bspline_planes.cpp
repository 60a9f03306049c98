// Some planes of output at a time: along z, filter and interpolation are one sum over samples; along y and x the planes
// are filtered in the cache. So nothing of the volume's size is kept.
#include "ops/bspline_planes.hpp"

#include <algorithm>
#include <vector>

#include "ops/bspline_prefilter.hpp"
#include "ops/float_writer.hpp"
#include "ops/separable_rows.hpp"
#include "ops/x_plan.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

// Fetches early what the next turn reads: one short row of each of many planes is nothing that hardware foresees.
void ask_for(const char* memory, std::int64_t bytes) {
  for (std::int64_t b = 0; b < bytes; b += 64) __builtin_prefetch(memory + b);
}

struct Job {
  const ArrayView& in;
  const ArrayView& out;
  AxisTaps tz, ty;
  XPass along_x;
  FloatWriter writer;
};

// One worker's planes of coefficients along y and x, and the rows read from them.
class SplinePlanes {
 public:
  SplinePlanes(const Job& job, std::int64_t planes)
      : job_(job), ny_(job.in.shape[1]), nx_(job.in.shape[2]), planes_(static_cast<std::size_t>(planes * ny_ * nx_)),
        row_(static_cast<std::size_t>(nx_ + kernels::kRowSlack)), line_(static_cast<std::size_t>(job.out.shape[2])),
        z_rows_(static_cast<std::size_t>(job.tz.width)), y_rows_(static_cast<std::size_t>(job.ty.width)),
        filter_(ny_, nx_) {}

  // Row by row for all planes. They share most of the samples, which are converted and laid side by side first: in the
  // volume the rows of neighbouring planes often fall into the same sets of the cache.
  void sum_along_z(std::int64_t z0, std::int64_t z1) {
    const auto [low, high] = std::minmax_element(job_.tz.indices(z0), job_.tz.indices(z1));
    const auto convert = row_kernels(job_.in.dtype).combine, combine = row_kernels(Dtype::f32).combine;
    const auto item = static_cast<std::int64_t>(dtype_size(job_.in.dtype));
    const float one = 1;
    samples_.resize(static_cast<std::size_t>((*high - *low + 1) * nx_));
    for (std::int64_t y = 0; y < ny_; ++y) {
      for (std::int64_t i = *low; i <= *high; ++i) {
        const char* row = static_cast<const char*>(job_.in.data) + (i * ny_ + y) * nx_ * item;
        ask_for(row + nx_ * item, y + 1 < ny_ ? nx_ * item : 0);
        const void* rows = row;
        convert(&rows, &one, 1, nx_, samples_.data() + (i - *low) * nx_);
      }
      for (std::int64_t z = z0; z < z1; ++z) {
        for (int t = 0; t < job_.tz.width; ++t) {
          z_rows_[static_cast<std::size_t>(t)] = samples_.data() + (job_.tz.indices(z)[t] - *low) * nx_;
        }
        combine(z_rows_.data(), job_.tz.weights(z), job_.tz.width, nx_, plane(z - z0) + y * nx_);
      }
    }
  }

  void write(std::int64_t z, std::int64_t number) {
    filter_(plane(number));
    const std::int64_t ny = job_.out.shape[1], nx = job_.out.shape[2];
    for (std::int64_t y = 0; y < ny; ++y) {
      for (int t = 0; t < job_.ty.width; ++t) {
        y_rows_[static_cast<std::size_t>(t)] = plane(number) + job_.ty.indices(y)[t] * nx_;
      }
      row_kernels(Dtype::f32).combine(y_rows_.data(), job_.ty.weights(y), job_.ty.width, nx_, row_.data());
      const std::int64_t voxel = (z * ny + y) * nx;
      float* row = job_.writer.target(voxel, line_.data());
      job_.along_x(row_.data(), row);
      job_.writer.finish(row, nx, voxel);
    }
  }

 private:
  float* plane(std::int64_t number) { return planes_.data() + number * ny_ * nx_; }

  const Job& job_;
  std::int64_t ny_, nx_;
  std::vector<float> planes_, row_, line_, samples_;
  std::vector<const void*> z_rows_, y_rows_;
  PlaneFilter filter_;
};

}  // namespace

void bspline_planes(const ArrayView& in, const ArrayView& out, const GridAxes& axes, const ResampleOptions& options) {
  const Job job{in, out, cardinal_taps(axes.z), interpolation_taps(axes.y, Interpolation::bspline, false),
                XPass(interpolation_taps(axes.x, Interpolation::bspline, false)), FloatWriter(out, options)};
  const std::int64_t plane_bytes = in.shape[1] * in.shape[2] * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t block = std::clamp<std::int64_t>((std::int64_t{900} << 10) / plane_bytes, 1, 4);
  const std::int64_t nz = out.shape[0], tiles = (nz + block - 1) / block;
  const int team = worker_count(tiles, resolve_threads(options.place.threads));
  std::vector<SplinePlanes> workers;
  workers.reserve(static_cast<std::size_t>(team));
  for (int worker = 0; worker < team; ++worker) workers.emplace_back(job, block);
  parallel_for(tiles, team, [&](std::int64_t tile, int worker) {
    SplinePlanes& own = workers[static_cast<std::size_t>(worker)];
    const std::int64_t z0 = tile * block, z1 = std::min(z0 + block, nz);
    own.sum_along_z(z0, z1);
    for (std::int64_t z = z0; z < z1; ++z) own.write(z, z - z0);
  });
}

}  // namespace layer_fast::impl
