#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>

#include "kernels/labels.hpp"
#include "kernels/layer_sums.hpp"
#include "layer_fast/error.hpp"
#include "ops/layer_reduce_impl.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "layer_reduce";
constexpr std::int64_t kPartialBytes = 1 << 19;  // partials in memory at once; how many does not move a bit
constexpr std::int64_t kPiece = kReduceTile / 4;  // what is read of a map at once, so that it is summed in the cache

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

Shape3 last_three(const ArrayView& view) {
  const auto first = static_cast<std::size_t>(view.axes - 3);
  return {view.shape[first], view.shape[first + 1], view.shape[first + 2]};
}

// What both kinds of mask need: sizes, the map reader and one scratch per worker.
struct Job {
  Job(const ArrayView& maps, const ArrayView& mask, const LayerReduceOptions& options)
      : values(maps.in<float>(kOp)),
        maps_n(maps.shape[0]),
        rows(options.num_layers + 1),
        map_voxels(maps.size() / maps.shape[0]),
        voxels(mask.axes == 3 ? mask.size() : mask.size() / mask.shape[0]),
        tiles((voxels + kReduceTile - 1) / kReduceTile),
        threads(resolve_threads(options.place.threads)),
        workers(worker_count(tiles, threads)),
        reader(last_three(mask), last_three(maps), options.grid_map),
        scratch(at(workers), std::vector<float>(at(reader.scratch_size(kPiece)))) {}

  std::int64_t tile_size(std::int64_t tile) const { return std::min(kReduceTile, voxels - tile * kReduceTile); }
  // Calls piece(values, first voxel inside the tile, how many) along one tile of map k.
  template <class Piece>
  void read(std::int64_t k, std::int64_t tile, int worker, const Piece& piece) {
    const std::int64_t size = tile_size(tile);
    for (std::int64_t first = 0; first < size; first += kPiece) {
      const std::int64_t n = std::min(kPiece, size - first);
      const float* map = values + k * map_voxels;
      piece(reader.read(map, tile * kReduceTile + first, n, scratch[at(worker)].data()), first, n);
    }
  }

  const float* values;
  std::int64_t maps_n, rows, map_voxels, voxels, tiles;
  int threads, workers;
  MapReader reader;
  std::vector<std::vector<float>> scratch;
};

// Calls tile_body(tile, worker, partials of K x rows) for all tiles and merges their partials in tile order.
template <class TileBody>
std::vector<LayerPartial> reduce_all(const Job& job, const TileBody& tile_body) {
  const std::int64_t width = job.maps_n * job.rows;
  const std::int64_t wave = std::clamp<std::int64_t>(
      kPartialBytes / (width * static_cast<std::int64_t>(sizeof(LayerPartial))), job.workers, job.tiles);
  std::vector<LayerPartial> whole(at(width), empty_partial()), strip = whole, parts(at(wave * width));
  const auto tiles_of = [&](std::int64_t phase) { return std::min(wave, job.tiles - phase / 2 * wave); };
  const auto count = [&](std::int64_t phase) { return phase % 2 == 0 ? tiles_of(phase) : 1; };
  parallel_phases(2 * ((job.tiles + wave - 1) / wave), count, job.threads,
                  [&](std::int64_t phase, std::int64_t i, int worker) {
    const std::int64_t first = phase / 2 * wave;
    if (phase % 2 == 0) return tile_body(first + i, worker, &parts[at(i * width)]);
    for (std::int64_t tile = 0; tile < tiles_of(phase); ++tile) {
      for (std::int64_t row = 0; row < width; ++row) merge_partial(strip[at(row)], parts[at(tile * width + row)], first + tile);
      const std::int64_t done = first + tile + 1;
      if (done % kReduceStrip != 0 && done != job.tiles) continue;
      for (std::int64_t row = 0; row < width; ++row) {
        merge_partial(whole[at(row)], strip[at(row)], strip[at(row)].max_tile);
        strip[at(row)] = empty_partial();
      }
    }
  });
  return whole;
}

// The first voxel that holds the maximum, by one more look at the tile that has it. inside(row, voxel): is it counted?
template <class Inside>
void write_all(Job& job, const std::vector<LayerPartial>& whole, const LayerReduceOut& out, const Inside& inside) {
  auto* argmax = out.argmax.out<std::int64_t>(kOp);
  parallel_for(job.maps_n * job.rows, job.workers, [&](std::int64_t row, int worker) {
    const LayerPartial& part = whole[at(row)];
    write_moments(part, at(row), out);
    argmax[row] = -1;
    if (part.count == 0) return;
    const std::int64_t start = part.max_tile * kReduceTile;
    job.read(row / job.rows, part.max_tile, worker, [&](const float* values, std::int64_t first, std::int64_t n) {
      for (std::int64_t i = 0; argmax[row] < 0 && i < n; ++i) {
        if (values[i] == part.max && inside(row % job.rows, start + first + i)) argmax[row] = start + first + i;
      }
    });
  });
}

void sum_bins(const std::vector<std::vector<std::int64_t>>& parts, std::int64_t* out, std::size_t bins) {
  std::fill(out, out + bins, 0);
  for (const std::vector<std::int64_t>& part : parts) {
    for (std::size_t i = 0; i < bins; ++i) out[i] += part[i];
  }
}

}  // namespace

void write_moments(const LayerPartial& part, std::size_t row, const LayerReduceOut& out) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  out.count.out<std::int64_t>(kOp)[row] = part.count;
  out.nonfinite.out<std::int64_t>(kOp)[row] = part.nonfinite;
  out.sum.out<double>(kOp)[row] = part.pos + part.neg;
  out.sum_sq.out<double>(kOp)[row] = part.sq;
  out.sum_abs.out<double>(kOp)[row] = part.pos - part.neg;
  out.sum_pos.out<double>(kOp)[row] = part.pos;
  out.weight.out<double>(kOp)[row] = part.weight;
  out.min.out<float>(kOp)[row] = part.count > 0 ? part.min + 0.0f : nan;  // -0 becomes +0
  out.max.out<float>(kOp)[row] = part.count > 0 ? part.max + 0.0f : nan;
}

void layer_reduce_cpu(const ArrayView& maps, const ArrayView& labels, const LayerReduceOut& out,
                      const LayerReduceOptions& options) {
  Job job(maps, labels, options);
  const auto* label = labels.in<std::uint8_t>(kOp);
  const std::int64_t width = job.maps_n * job.rows;
  const bool ordered = !options.quantiles.empty() || options.top_fraction;
  const std::size_t bins = options.histogram ? at(width * (options.histogram->bins + 2)) : 0;
  std::vector<std::vector<std::int64_t>> histograms(at(job.workers), std::vector<std::int64_t>(bins, 0));
  const kernels::LayerSums& sums = kernels::layer_sums();
  const auto tiles = std::make_unique_for_overwrite<kernels::LayerTile[]>(at(job.workers));
  std::atomic<bool> good{true};

  const auto whole = reduce_all(job, [&](std::int64_t tile, int worker, LayerPartial* parts) {
    const std::uint8_t* here = label + tile * kReduceTile;
    for (std::int64_t k = 0; k < job.maps_n; ++k) {
      sums.open(tiles[at(worker)], static_cast<int>(job.rows));
      job.read(k, tile, worker, [&](const float* values, std::int64_t first, std::int64_t n) {
        if (!sums.add(tiles[at(worker)], values, here + first, n)) good = false;
        if (bins == 0 || !good) return;
        std::int64_t* own = histograms[at(worker)].data() + k * job.rows * (options.histogram->bins + 2);
        histogram_tile(values, here + first, n, *options.histogram, own);
      });
      sums.close(tiles[at(worker)], parts + k * job.rows);
    }
  });
  if (!good) {
    refuse(kOp, "labels from 0 to num_layers = " + std::to_string(options.num_layers),
           "label " + std::to_string(kernels::labels().highest(label, labels.size())));
  }
  write_all(job, whole, out, [&](std::int64_t l, std::int64_t voxel) { return label[voxel] == l; });
  if (bins > 0) sum_bins(histograms, out.histogram.out<std::int64_t>(kOp), bins);
  if (ordered) layer_order_statistics(maps, labels, job.reader, out, options, job.threads);
}

void layer_reduce_weighted_cpu(const ArrayView& maps, const ArrayView& weights, const LayerReduceOut& out,
                               const LayerReduceOptions& options) {
  Job job(maps, weights, options);
  const auto* weight = weights.in<float>(kOp);
  std::vector<std::vector<ReduceLanes>> lanes(at(job.workers), std::vector<ReduceLanes>(at(job.rows)));
  std::atomic<bool> good{true};
  const auto whole = reduce_all(job, [&](std::int64_t tile, int worker, LayerPartial* parts) {
    for (std::int64_t k = 0; k < job.maps_n; ++k) {
      std::vector<ReduceLanes>& sums = lanes[at(worker)];
      for (ReduceLanes& layer : sums) clear_lanes(layer);
      job.read(k, tile, worker, [&](const float* values, std::int64_t first, std::int64_t n) {
        for (std::int64_t l = 0; l < job.rows; ++l) {
          const float* here = weight + l * job.voxels + tile * kReduceTile + first;
          if (!add_weighted(values, here, n, sums[at(l)])) good = false;
        }
      });
      for (std::int64_t l = 0; l < job.rows; ++l) parts[k * job.rows + l] = close_lanes(sums[at(l)]);
    }
  });
  expects(good, kOp, "finite weights of 0 or more", "a negative, NaN or infinite one");
  write_all(job, whole, out,
            [&](std::int64_t l, std::int64_t voxel) { return weight[l * job.voxels + voxel] > 0.0f; });
}

}  // namespace layer_fast::impl
