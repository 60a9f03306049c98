// CPU: the integer half of intensity_stats. One histogram says all, exactly.
#include <algorithm>
#include <cmath>
#include <limits>

#include "layer_fast/error.hpp"
#include "ops/float_key.hpp"
#include "ops/intensity_stats_impl.hpp"
#include "ops/select_cpu.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "intensity_stats";
constexpr std::int64_t kChunk = 1 << 18;
__extension__ using Int128 = __int128;

using Counts = std::vector<std::int64_t>;

// Four tables in turn, so that equal neighbours do not wait for each other.
void count_bytes(const std::uint8_t* values, const std::uint8_t* mask, std::int64_t n, std::int64_t* bins) {
  std::uint32_t tables[4][256] = {};
  for (std::int64_t i = 0; i < n; ++i) {
    if (mask == nullptr || mask[i] != 0) ++tables[i & 3][values[i]];
  }
  for (std::size_t v = 0; v < 256; ++v) {
    bins[v] += static_cast<std::int64_t>(tables[0][v]) + tables[1][v] + tables[2][v] + tables[3][v];
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

// The value of bin 0 is `first`.
IntensityStats describe(const std::int64_t* bins, std::int64_t size, std::int64_t first) {
  IntensityStats out;
  Int128 sum = 0, sum_sq = 0;
  for (std::int64_t bin = 0; bin < size; ++bin) {
    if (bins[bin] == 0) continue;
    const std::int64_t value = first + bin;
    if (out.count == 0) out.min = static_cast<double>(value);
    out.max = static_cast<double>(value);
    out.count += bins[bin];
    sum += static_cast<Int128>(bins[bin]) * value;
    sum_sq += static_cast<Int128>(bins[bin]) * (value * value);
  }
  if (out.count == 0) {
    out.min = out.max = out.mean = out.std = std::numeric_limits<double>::quiet_NaN();
    return out;
  }
  const auto n = static_cast<double>(out.count);
  out.sum = static_cast<double>(sum);
  out.mean = out.sum / n;
  out.std = std::sqrt(static_cast<double>(sum_sq * out.count - sum * sum)) / n;  // n^2 variance, an exact integer
  return out;
}

double value_at(std::int64_t rank, const std::int64_t* bins, std::int64_t first) {
  std::int64_t bin = 0;
  while (rank >= bins[bin]) rank -= bins[bin++];
  return static_cast<double>(first + bin);
}

}  // namespace

IntensityStats integer_stats_cpu(const ArrayView& volume, Within within, const std::uint8_t* mask,
                                 const std::vector<double>& percentiles, std::int64_t* histogram, int threads) {
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
  IntensityStats out = describe(histogram, size, first);
  for (const double p : percentiles) {
    if (out.count == 0) {
      out.percentiles.push_back(std::numeric_limits<double>::quiet_NaN());
      continue;
    }
    const QuantileRanks ranks = quantile_ranks(p / 100.0, out.count);
    out.percentiles.push_back(between_ranks(value_at(ranks.low, histogram, first),
                                            value_at(ranks.high, histogram, first), ranks.t));
  }
  return out;
}

}  // namespace layer_fast::impl
