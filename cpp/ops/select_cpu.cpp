#include "ops/select_cpu.hpp"

#include <algorithm>
#include <functional>

#include "ops/float_key.hpp"
#include "runtime/parallel.hpp"

namespace layer_fast::impl {
namespace {

constexpr std::int64_t kChunk = 1 << 18;
constexpr std::int64_t kSmall = 1 << 15;  // below, partitioning a copy is cheaper than clearing the counters
constexpr std::size_t kBins = 1 << 16;
constexpr std::size_t kSlots = 8;  // upper halves refined in one sweep

using Counts = std::vector<std::int64_t>;
using Fill = std::function<void(const float* values, std::int64_t count, std::int64_t* bins)>;

// Sum over workers of integer counts: any order gives the same.
Counts count_chunks(const float* values, std::int64_t count, std::size_t bins, int threads, const Fill& fill) {
  const std::int64_t chunks = (count + kChunk - 1) / kChunk;
  std::vector<Counts> parts(static_cast<std::size_t>(worker_count(chunks, threads)), Counts(bins, 0));
  parallel_for(chunks, threads, [&](std::int64_t chunk, int worker) {
    const std::int64_t start = chunk * kChunk;
    fill(values + start, std::min(kChunk, count - start), parts[static_cast<std::size_t>(worker)].data());
  });
  for (std::size_t part = 1; part < parts.size(); ++part) {
    for (std::size_t bin = 0; bin < bins; ++bin) parts[0][bin] += parts[part][bin];
  }
  return parts[0];
}

struct Place {
  std::uint32_t bin;
  std::int64_t rank;  // inside the bin
};

Place place_of(std::int64_t rank, const std::int64_t* bins) {
  std::uint32_t bin = 0;
  while (rank >= bins[bin]) rank -= bins[bin++];
  return {bin, rank};
}

std::vector<float> select_small(const float* values, std::int64_t count, const std::vector<std::int64_t>& ranks) {
  std::vector<float> copy(values, values + count), out;
  for (const std::int64_t rank : ranks) {
    std::nth_element(copy.begin(), copy.begin() + rank, copy.end());
    out.push_back(copy[static_cast<std::size_t>(rank)] + 0.0f);  // -0 counts as +0
  }
  return out;
}

// Counts of the lower halves of the keys whose upper half is one of `uppers` (at most kSlots).
Counts count_lower(const float* values, std::int64_t count, const std::vector<std::uint32_t>& uppers, int threads) {
  std::vector<std::uint8_t> slot_of(kBins, kSlots);
  for (std::size_t slot = 0; slot < uppers.size(); ++slot) slot_of[uppers[slot]] = static_cast<std::uint8_t>(slot);
  return count_chunks(values, count, uppers.size() * kBins, threads,
                      [&](const float* part, std::int64_t n, std::int64_t* bins) {
                        for (std::int64_t i = 0; i < n; ++i) {
                          const std::uint32_t key = float_key(part[i]);
                          const std::size_t slot = slot_of[key >> 16];
                          if (slot < kSlots) ++bins[slot * kBins + (key & 0xffffu)];
                        }
                      });
}

}  // namespace

std::vector<float> select_ranks(const float* values, std::int64_t count, const std::vector<std::int64_t>& ranks,
                                int threads) {
  if (count <= kSmall) return select_small(values, count, ranks);
  const Counts upper = count_chunks(values, count, kBins, threads, [](const float* part, std::int64_t n, std::int64_t* bins) {
    for (std::int64_t i = 0; i < n; ++i) ++bins[float_key(part[i]) >> 16];
  });
  std::vector<Place> places;
  std::vector<std::uint32_t> uppers;
  for (const std::int64_t rank : ranks) {
    places.push_back(place_of(rank, upper.data()));
    uppers.push_back(places.back().bin);
  }
  std::sort(uppers.begin(), uppers.end());
  uppers.erase(std::unique(uppers.begin(), uppers.end()), uppers.end());
  std::vector<float> out(ranks.size());
  for (std::size_t first = 0; first < uppers.size(); first += kSlots) {
    const std::size_t last = std::min(first + kSlots, uppers.size());
    const std::vector<std::uint32_t> now(uppers.begin() + static_cast<std::ptrdiff_t>(first),
                                         uppers.begin() + static_cast<std::ptrdiff_t>(last));
    const Counts lower = count_lower(values, count, now, threads);
    for (std::size_t i = 0; i < places.size(); ++i) {
      const auto found = std::find(now.begin(), now.end(), places[i].bin);
      if (found == now.end()) continue;
      const auto slot = static_cast<std::size_t>(found - now.begin());
      const Place low = place_of(places[i].rank, lower.data() + slot * kBins);
      out[i] = float_of_key((places[i].bin << 16) | low.bin);
    }
  }
  return out;
}

QuantileRanks quantile_ranks(double q, std::int64_t count) {
  const double position = q * static_cast<double>(count - 1);
  const auto low = static_cast<std::int64_t>(position);
  return {low, std::min(low + 1, count - 1), position - static_cast<double>(low)};
}

std::vector<double> exact_quantiles(const float* values, std::int64_t count, const std::vector<double>& quantiles,
                                    int threads) {
  std::vector<std::int64_t> ranks;
  for (const double q : quantiles) {
    const QuantileRanks at = quantile_ranks(q, count);
    ranks.push_back(at.low);
    ranks.push_back(at.high);
  }
  const std::vector<float> picked = select_ranks(values, count, ranks, threads);
  std::vector<double> out;
  for (std::size_t i = 0; i < quantiles.size(); ++i) {
    out.push_back(between_ranks(picked[2 * i], picked[2 * i + 1], quantile_ranks(quantiles[i], count).t));
  }
  return out;
}

}  // namespace layer_fast::impl
