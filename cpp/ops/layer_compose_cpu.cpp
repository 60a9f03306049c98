// CPU: tile by tile. A tile's labels, image and fill are read once from memory and stay in the cache while every
// coalition is written; the writes are all that memory sees.
#include <algorithm>
#include <atomic>
#include <vector>

#include "kernels/compose.hpp"
#include "kernels/labels.hpp"
#include "layer_fast/error.hpp"
#include "ops/layer_compose_impl.hpp"
#include "ops/layer_compose_voxel.hpp"
#include "runtime/cache.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "layer_compose";
constexpr std::int64_t kTile = 2048;  // its labels, image and fill fit into the nearest cache

struct Task {
  const float* image;
  const std::uint8_t* labels;
  const bool* coalitions;
  const float* fill;
  bool fill_is_image;
  std::int64_t channels, voxels, sets, rows;
  float* out;
  bool past_caches;
  const kernels::Compose& kernel;
};

struct Scratch {
  std::uint32_t own[kTile];
  float fill[kTile];
};

// The fill of one channel on this tile.
const float* fill_tile(const Task& task, std::int64_t channel, std::int64_t start, std::int64_t n, Scratch& scratch) {
  if (task.fill_is_image) return task.fill + channel * task.voxels + start;
  const float* constants = task.fill + channel * task.rows;
  for (std::int64_t i = 0; i < n; ++i) scratch.fill[i] = constants[task.labels[start + i]];
  return scratch.fill;
}

// More layers than bits in a word: the tile's keep flags are looked up for every coalition.
std::uint32_t prepare_set(const Task& task, std::int64_t set, std::int64_t start, std::int64_t n, Scratch& scratch) {
  const bool* keep = task.coalitions + set * task.rows;
  if (task.rows > kBitRows) {
    for (std::int64_t i = 0; i < n; ++i) scratch.own[i] = keep[task.labels[start + i]] ? 1u : 0u;
    return 1u;
  }
  std::uint32_t kept = 0;
  for (std::int64_t l = 0; l < task.rows; ++l) kept |= keep[l] ? label_bit(static_cast<std::uint8_t>(l)) : 0u;
  return kept;
}

void run_tile(const Task& task, std::int64_t start, Scratch& scratch) {
  const std::int64_t n = std::min(kTile, task.voxels - start);
  if (task.rows <= kBitRows) task.kernel.bits_of(task.labels + start, n, scratch.own);
  for (std::int64_t c = 0; c < task.channels; ++c) {
    const float* fill = fill_tile(task, c, start, n, scratch);
    for (std::int64_t set = 0; set < task.sets; ++set) {
      const std::uint32_t kept = prepare_set(task, set, start, n, scratch);
      const std::int64_t at = (set * task.channels + c) * task.voxels + start;
      task.kernel.compose(scratch.own, kept, task.image + c * task.voxels + start, fill, n, task.out + at,
                          task.past_caches);
    }
  }
}

}  // namespace

void layer_compose_cpu(const ArrayView& image, const ArrayView& labels, const ArrayView& coalitions,
                       const ArrayView& fill, const ArrayView& out, int threads) {
  const Task task{image.in<float>(kOp), labels.in<std::uint8_t>(kOp), coalitions.in<bool>(kOp), fill.in<float>(kOp),
                  fill.axes == 4, image.shape[0], labels.size(), coalitions.shape[0], coalitions.shape[1],
                  out.out<float>(kOp), out.size() * static_cast<std::int64_t>(sizeof(float)) >= last_level_cache_bytes() / 2,
                  kernels::compose()};
  const std::int64_t tiles = (task.voxels + kTile - 1) / kTile;
  const int used = resolve_threads(threads);
  std::vector<Scratch> scratch(static_cast<std::size_t>(worker_count(tiles, used)));
  std::atomic<int> highest{0};
  parallel_for(tiles, used, [&](std::int64_t tile, int worker) {
    const std::int64_t start = tile * kTile;
    const int top = kernels::labels().highest(task.labels + start, std::min(kTile, task.voxels - start));
    if (top < task.rows) return run_tile(task, start, scratch[static_cast<std::size_t>(worker)]);
    for (int seen = highest.load(); top > seen && !highest.compare_exchange_weak(seen, top);) {
    }
  });
  expects(highest == 0, kOp, "labels below the " + std::to_string(task.rows) + " columns of coalitions",
          "label " + std::to_string(highest));
}

}  // namespace layer_fast::impl
