#include "ops/byte_ranks.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/intensities.hpp"
#include "ops/order_search.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr std::int64_t kSample = 1 << 14;
constexpr std::int64_t kSmall = 1 << 18;  // a histogram is as fast below
constexpr std::int64_t kChunk = 1 << 18;
constexpr std::int64_t kPiece = 1 << 14;  // stays in the nearest cache for all groups of bounds
constexpr std::size_t kMostBounds = 24;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// How many sampled bytes have each value.
struct Sample {
  std::array<std::int64_t, 256> bins{};
  std::int64_t size = 0;
  // The value at a place among the sampled, in order; the outermost beyond both ends.
  int value(std::int64_t place) const {
    if (place < 0) return 0;
    int value = 0;
    while (value < 255 && place >= bins[at(value)]) place -= bins[at(value++)];
    return value;
  }
};

// Shaken: an even stride would meet the same columns of every row.
Sample take_sample(const std::uint8_t* volume, std::int64_t voxels, bool nonzero) {
  Sample sample;
  const auto stride = static_cast<std::uint64_t>(voxels / kSample);
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(kSample); ++i) {
    const std::uint64_t noise = (i + 1) * 0x9e3779b97f4a7c15u >> 33;
    ++sample.bins[volume[i * stride + noise % stride]];
  }
  if (nonzero) sample.bins[0] = 0;
  for (const std::int64_t bin : sample.bins) sample.size += bin;
  return sample;
}

// The values to count below of: those around every rank, three deviations to either side, and 1 for the zeros.
std::vector<std::uint8_t> bounds_of(const Sample& sample, bool nonzero, const std::vector<double>& fractions) {
  std::array<bool, 257> wanted{};
  wanted[1] = nonzero;
  const auto m = static_cast<double>(sample.size);
  for (const double q : fractions) {
    const double width = 3.0 * std::sqrt(m * q * (1.0 - q)) + 2.0;
    const int low = sample.value(static_cast<std::int64_t>(std::floor(q * m - width)));
    const int high = sample.value(static_cast<std::int64_t>(std::ceil(q * m + width)));
    for (int bound = low; bound <= high + 1; ++bound) wanted[at(bound)] = true;
  }
  std::vector<std::uint8_t> bounds;
  for (int bound = 1; bound < 256; ++bound) {  // nothing is below 0, all are below 256
    if (wanted[at(bound)]) bounds.push_back(static_cast<std::uint8_t>(bound));
  }
  while (bounds.size() % kernels::kBoundsAtOnce != 0) bounds.push_back(255);
  return bounds;
}

// How many voxels are below each value; -1 where that was not counted.
using Below = std::array<std::int64_t, 257>;

Below count_below(const std::uint8_t* volume, std::int64_t voxels, const std::vector<std::uint8_t>& bounds,
                  int threads) {
  const std::int64_t chunks = (voxels + kChunk - 1) / kChunk;
  std::vector<std::array<std::int64_t, kMostBounds>> parts(at(worker_count(chunks, threads)));
  const auto below = kernels::intensities().below;
  parallel_for(chunks, threads, [&](std::int64_t chunk, int worker) {
    const std::int64_t end = std::min(voxels, (chunk + 1) * kChunk);
    for (std::int64_t start = chunk * kChunk; start < end; start += kPiece) {
      for (std::size_t b = 0; b < bounds.size(); b += kernels::kBoundsAtOnce) {
        below(volume + start, std::min(kPiece, end - start), &bounds[b], &parts[at(worker)][b]);
      }
    }
  });
  Below found;
  found.fill(-1);
  found[0] = 0;
  found[256] = voxels;
  for (std::size_t b = 0; b < bounds.size(); ++b) {
    found[bounds[b]] = 0;
    for (const auto& part : parts) found[bounds[b]] += part[b];
  }
  return found;
}

}  // namespace

std::optional<ByteRanks> find_byte_ranks(const std::uint8_t* volume, std::int64_t voxels, bool nonzero,
                                         const std::vector<double>& fractions, int threads) {
  if (voxels < kSmall) return std::nullopt;
  const Sample sample = take_sample(volume, voxels, nonzero);
  const std::vector<std::uint8_t> bounds = bounds_of(sample, nonzero, fractions);
  if (bounds.size() > kMostBounds) return std::nullopt;
  const Below below = count_below(volume, voxels, bounds, threads);
  const std::int64_t zeros = nonzero ? below[1] : 0;
  ByteRanks out{voxels - zeros, {}};
  if (out.count == 0) return out;
  for (const double q : fractions) {
    const QuantileRanks ranks = quantile_ranks(q, out.count);
    for (const std::int64_t rank : {ranks.low + zeros, ranks.high + zeros}) {
      const auto holds = [&](int v) { return below[at(v)] >= 0 && below[at(v)] <= rank && rank < below[at(v + 1)]; };
      int value = 0;
      while (value < 256 && !holds(value)) ++value;
      if (value == 256) return std::nullopt;
      out.values.push_back(static_cast<std::uint8_t>(value));
    }
  }
  return out;
}

}  // namespace layer_fast::impl
