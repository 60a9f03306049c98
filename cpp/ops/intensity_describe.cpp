#include "ops/intensity_describe.hpp"

#include <cmath>
#include <limits>

#include "ops/float_key.hpp"
#include "ops/order_search.hpp"

namespace layer_fast::impl {

void describe_sums(Int128 sum, Int128 sum_sq, IntensityStats& out) {
  if (out.count == 0) {
    out.min = out.max = out.mean = out.std = std::numeric_limits<double>::quiet_NaN();
    return;
  }
  const auto n = static_cast<double>(out.count);
  out.sum = static_cast<double>(sum);
  out.mean = out.sum / n;
  out.std = std::sqrt(static_cast<double>(sum_sq * out.count - sum * sum)) / n;  // n^2 variance, an exact integer
}

IntensityStats describe_moments(const Moments& whole, bool moments) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  const bool known = moments && whole.count > 0;
  IntensityStats out;
  out.count = whole.count;
  out.sum = whole.sum;
  out.min = known ? whole.min : nan;
  out.max = known ? whole.max : nan;
  out.mean = known ? whole.mean : nan;
  out.std = known ? std::sqrt(whole.deviation_sq / static_cast<double>(whole.count)) : nan;
  return out;
}

namespace {

IntensityStats moments_of(const std::int64_t* bins, std::int64_t size, std::int64_t first) {
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
  describe_sums(sum, sum_sq, out);
  return out;
}

double value_at(std::int64_t rank, const std::int64_t* bins, std::int64_t first) {
  std::int64_t bin = 0;
  while (rank >= bins[bin]) rank -= bins[bin++];
  return static_cast<double>(first + bin);
}

}  // namespace

IntensityStats describe_histogram(const std::int64_t* bins, std::int64_t size, std::int64_t first,
                                  const std::vector<double>& percentiles) {
  IntensityStats out = moments_of(bins, size, first);
  for (const double p : percentiles) {
    if (out.count == 0) {
      out.percentiles.push_back(std::numeric_limits<double>::quiet_NaN());
      continue;
    }
    const QuantileRanks ranks = quantile_ranks(p / 100.0, out.count);
    out.percentiles.push_back(between_ranks(value_at(ranks.low, bins, first), value_at(ranks.high, bins, first), ranks.t));
  }
  return out;
}

}  // namespace layer_fast::impl
