#include "kernels/float_stats.hpp"

#include "kernels/order.hpp"
#include "kernels/vectors.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {


constexpr int kFulls = kStatsLanes / kFull, kWides = kStatsLanes / kWide;  // vectors in a group of lanes
constexpr int kLine = 16;  // floats in a line of a cache
constexpr float kLargest = __FLT_MAX__;
constexpr float kNan = __builtin_nanf("");

// Which values of a tile count. `finite`: all values are, which the sums say afterwards: a NaN or Inf stays in them.
enum class Among { all_finite, nonzero_finite, any };

inline Ints bits_of(Floats v) { return __builtin_bit_cast(Ints, v); }
inline Floats of_bits(Ints v) { return __builtin_bit_cast(Floats, v); }
inline Ints zeros_of(Floats v) { return __builtin_bit_cast(Ints, v == Floats{}); }
inline Ints nonfinite_of(Floats v) { return (bits_of(v) & 0x7fffffff) > 0x7f7fffff; }

// All bits of the values that are not chosen, whether finite or not.
inline Ints left_out(Floats v, const std::uint8_t* mask, bool nonzero) {
  Ints out = nonzero ? zeros_of(v) : Ints{};
  if (mask != nullptr) out |= zeros_of(floats_of(mask));
  return out;
}

inline std::int64_t total_of(Ints counts) {  // each lane has counted down
  std::int64_t total = 0;
  for (int j = 0; j < kFull; ++j) total -= counts[j];
  return total;
}

struct Sums {
  Doubles lanes[kWides] = {};
  Floats low[kFulls], high[kFulls];
  Ints skipped[kFulls] = {}, nonfinite[kFulls] = {};
};

// NaN in place of what does not count: min_of and max_of then keep what they have.
template <Among kAmong>
inline void add_group(const float* values, const std::uint8_t* mask, bool nonzero, Sums& sums) {
  alignas(kVectorBytes) float kept[kStatsLanes];
  for (int p = 0; p < kFulls; ++p) {
    const Floats v = load_as<Floats>(values + p * kFull);
    Floats counted = v;
    if constexpr (kAmong == Among::nonzero_finite) {
      const Ints out = zeros_of(v);
      sums.skipped[p] += out;
      counted = of_bits(bits_of(v) | out);
    } else if constexpr (kAmong == Among::any) {
      const Ints out = left_out(v, mask != nullptr ? mask + p * kFull : nullptr, nonzero), bad = nonfinite_of(v) & ~out;
      sums.skipped[p] += out | bad;
      sums.nonfinite[p] += bad;
      counted = of_bits(bits_of(v) | out | bad);
      store_as(kept + p * kFull, of_bits(bits_of(v) & ~(out | bad)));
    }
    sums.low[p] = min_of(counted, sums.low[p]);
    sums.high[p] = max_of(counted, sums.high[p]);
  }
  const float* const from = kAmong == Among::any ? kept : values;  // a zero adds nothing
  for (int p = 0; p < kWides; ++p) sums.lanes[p] += widen(from + p * kWide);
}

// The deviation of what does not count becomes 0.
template <Among kAmong>
inline void square_group(const float* values, const std::uint8_t* mask, bool nonzero, double mean, Doubles* squares) {
  alignas(kVectorBytes) float kept[kStatsLanes];
  for (int p = 0; kAmong == Among::any && p < kFulls; ++p) {
    const Floats v = load_as<Floats>(values + p * kFull);
    const Ints out = left_out(v, mask != nullptr ? mask + p * kFull : nullptr, nonzero) | nonfinite_of(v);
    store_as(kept + p * kFull, of_bits(bits_of(v) | out));
  }
  for (int p = 0; p < kWides; ++p) {
    const Doubles v = widen((kAmong == Among::any ? kept : values) + p * kWide);
    Doubles d = v - mean;
    if constexpr (kAmong != Among::all_finite) {
      const Longs in = kAmong == Among::any ? v == v : v != Doubles{};
      d = __builtin_bit_cast(Doubles, __builtin_bit_cast(Longs, d) & in);
    }
    squares[p] += d * d;
  }
}

// The last values of a tile that fill no group, with a mask that leaves out what fills it up.
struct Tail {
  float values[kStatsLanes] = {};
  std::uint8_t mask[kStatsLanes] = {};
  Tail(const float* from, const std::uint8_t* given, std::int64_t n) {
    for (std::int64_t j = 0; j < n; ++j) values[j] = from[j];
    for (std::int64_t j = 0; j < n; ++j) mask[j] = given == nullptr ? 1 : given[j];
  }
};

double fold(const Doubles* parts) {
  double folded[kStatsLanes];
  for (int p = 0; p < kWides; ++p) store_as(folded + p * kWide, parts[p]);
  for (int width = kStatsLanes / 2; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) folded[j] += folded[j + width];
  }
  return folded[0];
}

template <Among kAmong>
void sum_tile(const float* values, const std::uint8_t* mask, bool nonzero, std::int64_t n, Sums& out) {
  Sums sums;  // a local, which nothing else can alias
  for (int p = 0; p < kFulls; ++p) sums.low[p] = Floats{} + __builtin_inff();
  for (int p = 0; p < kFulls; ++p) sums.high[p] = Floats{} - __builtin_inff();
  std::int64_t i = 0;
  for (; i + kStatsLanes <= n; i += kStatsLanes) {
    add_group<kAmong>(values + i, mask != nullptr ? mask + i : nullptr, nonzero, sums);
  }
  if (i < n) {
    const Tail tail(values + i, mask != nullptr ? mask + i : nullptr, n - i);
    add_group<Among::any>(tail.values, tail.mask, nonzero, sums);
  }
  out = sums;
}

template <Among kAmong>
double squares_of(const float* values, const std::uint8_t* mask, bool nonzero, std::int64_t n, double mean) {
  Doubles squares[kWides] = {};
  std::int64_t i = 0;
  for (; i + kStatsLanes <= n; i += kStatsLanes) {
    __builtin_prefetch(values + i + n);  // most likely the next tile: memory would idle, as this one is in the cache
    square_group<kAmong>(values + i, mask != nullptr ? mask + i : nullptr, nonzero, mean, squares);
  }
  if (i < n) {
    const Tail tail(values + i, mask != nullptr ? mask + i : nullptr, n - i);
    square_group<Among::any>(tail.values, tail.mask, nonzero, mean, squares);
  }
  return fold(squares);
}

void take_range(const Sums& sums, Moments& out) {
  for (int p = 0; p < kFulls; ++p) {
    for (int j = 0; j < kFull; ++j) out.min = sums.low[p][j] < out.min ? sums.low[p][j] : out.min;
  }
  for (int p = 0; p < kFulls; ++p) {
    for (int j = 0; j < kFull; ++j) out.max = sums.high[p][j] > out.max ? sums.high[p][j] : out.max;
  }
}

// The groups before a tail counted what they left out; a tail's padding was left out as well.
TileMoments moments(const float* values, const std::uint8_t* mask, bool nonzero, std::int64_t n) {
  Sums sums;
  const std::int64_t padded = (n + kStatsLanes - 1) / kStatsLanes * kStatsLanes;
  bool finite = mask == nullptr;
  if (finite) {
    nonzero ? sum_tile<Among::nonzero_finite>(values, mask, true, n, sums)
            : sum_tile<Among::all_finite>(values, mask, false, n, sums);
    const double sum = fold(sums.lanes);
    finite = sum - sum == 0.0;
  }
  if (!finite) sum_tile<Among::any>(values, mask, nonzero, n, sums);
  TileMoments out{empty_moments(), 0};
  std::int64_t skipped = 0;
  for (int p = 0; p < kFulls; ++p) skipped += total_of(sums.skipped[p]);
  for (int p = 0; p < kFulls; ++p) out.nonfinite += total_of(sums.nonfinite[p]);
  out.moments.count = padded - skipped;
  if (out.moments.count == 0) return out;
  out.moments.sum = fold(sums.lanes);
  const double mean = out.moments.mean = out.moments.sum / static_cast<double>(out.moments.count);
  const auto squares = out.moments.count == n ? squares_of<Among::all_finite>
                       : finite && nonzero    ? squares_of<Among::nonzero_finite>
                                              : squares_of<Among::any>;
  out.moments.deviation_sq = squares(values, mask, nonzero, n, mean);
  take_range(sums, out.moments);
  return out;
}

bool all_finite(const float* values, std::int64_t n) {
  Floats bad[2] = {};
  std::int64_t i = 0;
  for (; i + 2 * kFull <= n; i += 2 * kFull) {
    for (int p = 0; p < 2; ++p) {
      const Floats v = load_as<Floats>(values + i + p * kFull);
      bad[p] = of_bits(bits_of(bad[p]) | bits_of(v - v));  // 0 or NaN
    }
  }
  bool all = true;
  for (int j = 0; j < kFull; ++j) all = all && bad[0][j] == 0.0f && bad[1][j] == 0.0f;
  for (; i < n; ++i) all = all && values[i] - values[i] == 0.0f;
  return all;
}

Chosen choose(const float* values, const std::uint8_t* mask, bool nonzero, std::int64_t n, float* out) {
  if (mask == nullptr && !nonzero && all_finite(values, n)) return {n, 0};
  Ints chosen_not = {}, nonfinite = {};
  std::int64_t i = 0;
  for (; i + kFull <= n; i += kFull) {
    const Floats v = load_as<Floats>(values + i);
    const Ints skip = left_out(v, mask != nullptr ? mask + i : nullptr, nonzero), bad = nonfinite_of(v) & ~skip;
    chosen_not += skip;
    nonfinite += bad;
    store_as(out + i, of_bits(bits_of(v) | skip | bad));
  }
  Chosen total{i - total_of(chosen_not) - total_of(nonfinite), total_of(nonfinite)};
  for (; i < n; ++i) {
    const bool in = (!nonzero || values[i] != 0.0f) && (mask == nullptr || mask[i] != 0);
    const bool finite = values[i] - values[i] == 0.0f;
    total.used += in && finite;
    total.nonfinite += in && !finite;
    out[i] = in && finite ? values[i] : kNan;
  }
  return total;
}

// Groups with a value inside are noted, and looked at again behind the loop: they are few, and a call in the loop would
// cost all its registers.
Place place(const float* values, std::int64_t n, float low, float high, float* out, const float* next) {
  constexpr int kGroup = kFull < 8 ? 16 : 32;  // the larger, the more of them have a value inside
  std::int64_t groups[kMostPlaced / kGroup], noted = 0, i = 0;
  Ints below = {}, up_to = {};
  Floats least = {};
  for (; i + kGroup <= n; i += kGroup) {
    Ints any = {};
    for (int j = 0; next != nullptr && j < kGroup; j += kLine) __builtin_prefetch(next + i + j);
    for (int j = 0; j < kGroup; j += kFull) {
      const Floats v = load_as<Floats>(values + i + j);
      const Ints under = __builtin_bit_cast(Ints, v < low), in_or_under = __builtin_bit_cast(Ints, v <= high);
      below += under;
      up_to += in_or_under;
      least = min_of(v, least);
      any |= under ^ in_or_under;
    }
    groups[noted] = i;
    noted += any_set(any);
  }
  Place total{total_of(below), total_of(up_to) - total_of(below)};
  if (any_set(__builtin_bit_cast(Ints, least < -kLargest))) {  // -Inf counted as below
    for (std::int64_t j = 0; j < i; ++j) total.below -= values[j] < -kLargest;
  }
  for (std::int64_t j = i; j < n; ++j) total.below += values[j] < low && values[j] >= -kLargest;
  for (std::int64_t j = i; j < n; ++j) total.inside += values[j] >= low && values[j] <= high;
  if (out == nullptr) return total;
  std::int64_t found = 0;
  for (std::int64_t g = 0; g < noted; ++g) found += order.pick(values + groups[g], kGroup, low, high, out + found);
  order.pick(values + i, n - i, low, high, out + found);
  return total;
}

}  // namespace

const FloatStats float_stats{moments, choose, place};

}  // namespace layer_fast::kernels::LF_ISA
