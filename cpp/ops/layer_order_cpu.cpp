// CPU: quantiles and top shares of layer_reduce. The values of each layer are laid side by side, then counted.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/layer_reduce_impl.hpp"
#include "ops/select_cpu.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "layer_reduce";

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

struct Above {
  double sum;
  std::int64_t count;
};

Above sum_above(const float* values, std::int64_t n, float threshold) {
  double lanes[kReduceLanes] = {};
  std::int64_t count = 0;
  const std::int64_t whole = n - n % kReduceLanes;
  for (std::int64_t i = 0; i < whole; i += kReduceLanes) {
    for (int j = 0; j < kReduceLanes; ++j) {
      const float value = values[i + j];
      lanes[j] += value > threshold ? static_cast<double>(value) : 0.0;
      count += value > threshold;
    }
  }
  for (std::int64_t i = whole; i < n; ++i) {
    lanes[i - whole] += values[i] > threshold ? static_cast<double>(values[i]) : 0.0;
    count += values[i] > threshold;
  }
  return {fold_lanes(lanes), count};
}

// The sum of the k largest of n values: all above the k-th largest, and that one as often as is still missing.
double sum_of_largest(const float* values, std::int64_t n, std::int64_t k, int threads) {
  const float threshold = select_ranks(values, n, {n - k}, threads)[0];
  const std::int64_t tiles = (n + kReduceTile - 1) / kReduceTile;
  std::vector<Above> parts(at(tiles));
  parallel_for(tiles, threads, [&](std::int64_t tile, int) {
    const std::int64_t start = tile * kReduceTile;
    parts[at(tile)] = sum_above(values + start, std::min(kReduceTile, n - start), threshold);
  });
  Above whole{0.0, 0};
  for (const Above& part : parts) whole = {whole.sum + part.sum, whole.count + part.count};
  return whole.sum + static_cast<double>(k - whole.count) * static_cast<double>(threshold);
}

void write_order(const float* values, std::int64_t n, std::size_t row, const LayerReduceOut& out,
                 const LayerReduceOptions& options, int threads) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (const std::size_t q = options.quantiles.size(); q > 0) {
    double* to = out.quantiles.out<double>(kOp) + row * q;
    const std::vector<double> found =
        n > 0 ? exact_quantiles(values, n, options.quantiles, threads) : std::vector<double>(q, nan);
    std::copy(found.begin(), found.end(), to);
  }
  if (options.top_fraction) {
    const double total = out.sum.out<double>(kOp)[row];
    const auto rounded = static_cast<std::int64_t>(std::floor(*options.top_fraction * static_cast<double>(n) + 0.5));
    const std::int64_t k = std::clamp<std::int64_t>(rounded, 1, std::max<std::int64_t>(n, 1));
    out.top_share.out<double>(kOp)[row] = n > 0 && total != 0.0 ? sum_of_largest(values, n, k, threads) / total : nan;
  }
}

}  // namespace

void layer_order_statistics(const ArrayView& maps, const ArrayView& labels, const MapReader& reader,
                            const std::vector<std::int32_t>& counts, const LayerReduceOut& out,
                            const LayerReduceOptions& options, int threads) {
  const auto* label = labels.in<std::uint8_t>(kOp);
  auto* gathered = out.workspace.out<float>(kOp);
  const std::int64_t maps_n = maps.shape[0], rows = options.num_layers + 1, voxels = labels.size();
  const std::int64_t tiles = (voxels + kReduceTile - 1) / kReduceTile;
  std::vector<std::vector<float>> scratch(at(worker_count(tiles, threads)),
                                          std::vector<float>(at(reader.scratch_size(kReduceTile))));
  std::vector<std::int64_t> next(at(tiles * rows)), starts(at(rows + 1));
  for (std::int64_t k = 0; k < maps_n; ++k) {
    std::int64_t position = 0;
    for (std::int64_t l = 0; l < rows; ++l) {
      starts[at(l)] = position;
      for (std::int64_t tile = 0; tile < tiles; ++tile) {
        next[at(tile * rows + l)] = position;
        position += counts[at((tile * maps_n + k) * rows + l)];
      }
    }
    starts[at(rows)] = position;
    const float* map = maps.in<float>(kOp) + k * (maps.size() / maps_n);
    parallel_for(tiles, threads, [&](std::int64_t tile, int worker) {
      const std::int64_t start = tile * kReduceTile, n = std::min(kReduceTile, voxels - start);
      const float* values = reader.read(map, start, n, scratch[at(worker)].data());
      gather_tile(values, label + start, n, gathered, &next[at(tile * rows)]);
    });
    for (std::int64_t l = 0; l < rows; ++l) {
      const std::int64_t first = starts[at(l)];
      write_order(gathered + first, starts[at(l + 1)] - first, at(k * rows + l), out, options, threads);
    }
  }
}

}  // namespace layer_fast::impl
