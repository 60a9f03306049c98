// CPU: the integer half of intensity_stats. One histogram says all, exactly.
#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

#include "kernels/intensities.hpp"
#include "layer_fast/error.hpp"
#include "ops/byte_ranks.hpp"
#include "ops/intensity_describe.hpp"
#include "ops/intensity_stats_impl.hpp"
#include "ops/order_search.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "intensity_stats";
constexpr std::int64_t kChunk = 1 << 18;
constexpr std::int64_t kPiece = 1 << 16;  // the kernel sums no more at once
using kernels::IntegerSums;

using Counts = std::vector<std::int64_t>;

// Eight tables in turn, so that equal neighbours do not wait for each other; eight zeros, the usual background, at once.
void count_bytes(const std::uint8_t* values, const std::uint8_t* mask, std::int64_t n, std::int64_t* bins) {
  std::uint32_t tables[8][256] = {};
  std::int64_t i = 0;
  for (; mask == nullptr && i + 8 <= n; i += 8) {
    std::uint64_t word;
    std::memcpy(&word, values + i, 8);
    if (word == 0) {
      bins[0] += 8;
      continue;
    }
    for (std::size_t j = 0; j < 8; ++j) ++tables[j][word >> (8 * j) & 0xffu];
  }
  for (; i < n; ++i) tables[i & 7][values[i]] += mask == nullptr || mask[i] != 0;
  for (const auto& table : tables) {
    for (std::size_t v = 0; v < 256; ++v) bins[v] += table[v];
  }
}

template <class T>
void count_words(const T* values, const std::uint8_t* mask, std::int64_t n, std::int64_t* bins) {
  for (std::int64_t i = 0; i < n; ++i) {
    if (mask == nullptr || mask[i] != 0) ++bins[values[i] - std::numeric_limits<T>::min()];
  }
}

void count_chunk(const ArrayView& volume, const std::uint8_t* mask, std::int64_t start, std::int64_t n,
                 std::int64_t* bins) {
  const std::uint8_t* own = mask != nullptr ? mask + start : nullptr;
  switch (volume.dtype) {
    case Dtype::u8: return count_bytes(volume.in<std::uint8_t>(kOp) + start, own, n, bins);
    case Dtype::i16: return count_words(volume.in<std::int16_t>(kOp) + start, own, n, bins);
    case Dtype::u16: return count_words(volume.in<std::uint16_t>(kOp) + start, own, n, bins);
    default: refuse(kOp, "uint8, int16, uint16 or float32", dtype_name(volume.dtype));
  }
}

// Without a histogram: no percentiles, and several times as fast.
IntensityStats moments_only(const ArrayView& volume, bool nonzero, const std::uint8_t* mask, int threads) {
  const kernels::Intensities& kernel = kernels::intensities();
  const auto run = volume.dtype == Dtype::u8 ? kernel.sums_u8 : volume.dtype == Dtype::i16 ? kernel.sums_i16 : kernel.sums_u16;
  const auto size = static_cast<std::int64_t>(dtype_size(volume.dtype));
  const std::int64_t voxels = volume.size(), chunks = (voxels + kPiece - 1) / kPiece;
  struct Total {
    IntegerSums sums{0, 0, 0, 65536, -65536};
    Int128 sum_sq = 0;
  };
  std::vector<Total> parts(static_cast<std::size_t>(worker_count(chunks, threads)));
  parallel_for(chunks, threads, [&](std::int64_t chunk, int worker) {
    const std::int64_t start = chunk * kPiece;
    const IntegerSums found = run(static_cast<const char*>(volume.data) + start * size,
                                  mask != nullptr ? mask + start : nullptr, nonzero, std::min(kPiece, voxels - start));
    Total& own = parts[static_cast<std::size_t>(worker)];
    own.sums.count += found.count;
    own.sums.sum += found.sum;
    own.sum_sq += found.sum_sq;
    own.sums.low = std::min(own.sums.low, found.low);
    own.sums.high = std::max(own.sums.high, found.high);
  });
  IntensityStats out;
  Int128 sum = 0, sum_sq = 0;
  std::int32_t low = 65536, high = -65536;
  for (const Total& part : parts) {
    out.count += part.sums.count;
    sum += part.sums.sum;
    sum_sq += part.sum_sq;
    low = std::min(low, part.sums.low);
    high = std::max(high, part.sums.high);
  }
  out.min = low;
  out.max = high;
  describe_sums(sum, sum_sq, out);
  return out;
}

std::optional<IntensityStats> ranks_only(const ArrayView& volume, bool nonzero, const std::vector<double>& percentiles,
                                         int threads) {
  std::vector<double> fractions;
  for (const double p : percentiles) fractions.push_back(p / 100.0);
  const auto found = find_byte_ranks(volume.in<std::uint8_t>(kOp), volume.size(), nonzero, fractions, threads);
  if (!found) return std::nullopt;
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  IntensityStats out;
  out.count = found->count;
  out.min = out.max = out.mean = out.std = nan;
  out.percentiles.assign(percentiles.size(), nan);
  const std::vector<float> values(found->values.begin(), found->values.end());
  if (out.count > 0) out.percentiles = quantiles_from(values.data(), out.count, fractions);
  return out;
}

}  // namespace

IntensityStats integer_stats_cpu(const ArrayView& volume, Within within, const std::uint8_t* mask,
                                 const std::vector<double>& percentiles, std::int64_t* histogram, bool only_ranks,
                                 int threads) {
  if (histogram == nullptr) return moments_only(volume, within == Within::nonzero, mask, threads);
  if (only_ranks && volume.dtype == Dtype::u8 && mask == nullptr) {
    if (const auto found = ranks_only(volume, within == Within::nonzero, percentiles, threads)) return *found;
  }
  const std::int64_t size = volume.dtype == Dtype::u8 ? 256 : 65536, voxels = volume.size();
  const std::int64_t first = volume.dtype == Dtype::i16 ? -32768 : 0;
  const std::int64_t chunks = (voxels + kChunk - 1) / kChunk;
  std::vector<Counts> parts(static_cast<std::size_t>(worker_count(chunks, threads)),
                            Counts(static_cast<std::size_t>(size), 0));
  parallel_for(chunks, threads, [&](std::int64_t chunk, int worker) {
    const std::int64_t start = chunk * kChunk;
    count_chunk(volume, mask, start, std::min(kChunk, voxels - start), parts[static_cast<std::size_t>(worker)].data());
  });
  std::fill(histogram, histogram + size, 0);
  for (const Counts& part : parts) {
    for (std::size_t bin = 0; bin < part.size(); ++bin) histogram[bin] += part[bin];
  }
  if (within == Within::nonzero) histogram[-first] = 0;
  return describe_histogram(histogram, size, first, percentiles);
}

}  // namespace layer_fast::impl
