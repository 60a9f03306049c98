#include "kernels/intensities.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

// ---- float32 ----

// used[i]: 1 where the voxel counts. mask may be null.
Chosen choose_tile(const float* values, const std::uint8_t* mask, bool nonzero, std::int64_t n,
                                std::uint8_t* used) {
  std::int64_t chosen = 0, kept = 0;
  for (std::int64_t i = 0; i < n; ++i) used[i] = static_cast<std::uint8_t>(!nonzero || values[i] != 0.0f);
  for (std::int64_t i = 0; mask != nullptr && i < n; ++i) used[i] = static_cast<std::uint8_t>(used[i] & (mask[i] != 0));
  for (std::int64_t i = 0; i < n; ++i) chosen += used[i];
  for (std::int64_t i = 0; i < n; ++i) {
    used[i] = static_cast<std::uint8_t>(used[i] & (values[i] - values[i] == 0.0f));
    kept += used[i];
  }
  return {kept, chosen - kept};
}

double fold(const double* lanes) {
  double folded[kStatsLanes];
  for (int j = 0; j < kStatsLanes; ++j) folded[j] = lanes[j];
  for (int width = kStatsLanes / 2; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) folded[j] += folded[j + width];
  }
  return folded[0];
}

// The values that count; the others as `other`. So the loops below have no branch.
void keep_used(const float* values, const std::uint8_t* used, float other, float* out) {
  for (int j = 0; j < kStatsLanes; ++j) out[j] = used[j] != 0 ? values[j] : other;
}

struct Sums {
  double lanes[kStatsLanes] = {};
  float low[kStatsLanes], high[kStatsLanes];
};

void sum_tile(const float* values, const std::uint8_t* used, std::int64_t n, Sums& out) {
  Sums sums = out;  // a local, which nothing else can alias
  float kept[kStatsLanes], low[kStatsLanes], high[kStatsLanes];
  for (std::int64_t i = 0; i < n; i += kStatsLanes) {
    keep_used(values + i, used + i, 0.0f, kept);
    keep_used(values + i, used + i, __builtin_inff(), low);
    keep_used(values + i, used + i, -__builtin_inff(), high);
    for (int j = 0; j < kStatsLanes; ++j) {
      sums.lanes[j] += static_cast<double>(kept[j]);
      sums.low[j] = low[j] < sums.low[j] ? low[j] : sums.low[j];
      sums.high[j] = high[j] > sums.high[j] ? high[j] : sums.high[j];
    }
  }
  out = sums;
}

// All n values count: the same additions without the choice.
void sum_whole_tile(const float* values, std::int64_t n, Sums& out) {
  Sums sums = out;
  for (std::int64_t i = 0; i < n; i += kStatsLanes) {
    for (int j = 0; j < kStatsLanes; ++j) {
      const float value = values[i + j];
      sums.lanes[j] += static_cast<double>(value);
      sums.low[j] = value < sums.low[j] ? value : sums.low[j];
      sums.high[j] = value > sums.high[j] ? value : sums.high[j];
    }
  }
  out = sums;
}

void square_tile(const float* values, const std::uint8_t* used, std::int64_t n, double mean, double* out) {
  double squares[kStatsLanes] = {};
  float kept[kStatsLanes];
  for (std::int64_t i = 0; i < n; i += kStatsLanes) {
    keep_used(values + i, used + i, 0.0f, kept);
    for (int j = 0; j < kStatsLanes; ++j) {
      const double d = (static_cast<double>(kept[j]) - mean) * static_cast<double>(used[i + j]);  // times 1 or 0
      squares[j] += d * d;
    }
  }
  for (int j = 0; j < kStatsLanes; ++j) out[j] = squares[j];
}

void square_whole_tile(const float* values, std::int64_t n, double mean, double* out) {
  double squares[kStatsLanes] = {};
  for (std::int64_t i = 0; i < n; i += kStatsLanes) {
    for (int j = 0; j < kStatsLanes; ++j) {
      const double d = static_cast<double>(values[i + j]) - mean;
      squares[j] += d * d;
    }
  }
  for (int j = 0; j < kStatsLanes; ++j) out[j] = squares[j];
}

Moments moments_tile(const float* values, const std::uint8_t* used, std::int64_t n, std::int64_t count) {
  Moments out = empty_moments();
  if (count == 0) return out;
  Sums sums;
  for (int j = 0; j < kStatsLanes; ++j) sums.low[j] = out.min;
  for (int j = 0; j < kStatsLanes; ++j) sums.high[j] = out.max;
  double squares[kStatsLanes];
  const bool all = count == n;
  all ? sum_whole_tile(values, n, sums) : sum_tile(values, used, n, sums);
  out.count = count;
  out.sum = fold(sums.lanes);
  out.mean = out.sum / static_cast<double>(count);
  all ? square_whole_tile(values, n, out.mean, squares) : square_tile(values, used, n, out.mean, squares);
  out.deviation_sq = fold(squares);
  for (int j = 0; j < kStatsLanes; ++j) out.min = sums.low[j] < out.min ? sums.low[j] : out.min;
  for (int j = 0; j < kStatsLanes; ++j) out.max = sums.high[j] > out.max ? sums.high[j] : out.max;
  return out;
}

// ---- integers ----

constexpr std::int32_t kBeyond = 65536;

template <class T>
struct Widths {
  using Sum = std::int64_t;
  using Square = std::uint64_t;
};
template <>
struct Widths<std::uint8_t> {  // 65536 squares of 255 are still below 2^32
  using Sum = std::int32_t;
  using Square = std::uint32_t;
};

// What is left out becomes 0, which adds nothing, and lies beyond the range.
template <class T, bool kMask, bool kNonzero>
IntegerSums sums_of(const T* values, const std::uint8_t* mask, std::int64_t n) {
  std::int32_t low = kBeyond, high = -kBeyond, count = 0;
  typename Widths<T>::Sum sum = 0;
  typename Widths<T>::Square sum_sq = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int32_t value = values[i];
    bool in = true;
    if constexpr (kMask) in = mask[i] != 0;
    if constexpr (kNonzero) in = in & (value != 0);
    const std::int32_t kept = in ? value : 0, least = in ? value : kBeyond, most = in ? value : -kBeyond;
    low = least < low ? least : low;
    high = most > high ? most : high;
    count += in;
    sum += kept;
    sum_sq += static_cast<std::uint32_t>(kept) * static_cast<std::uint32_t>(kept);
  }
  return {count, sum, sum_sq, low, high};
}

template <class T>
IntegerSums sums(const void* untyped, const std::uint8_t* mask, bool nonzero, std::int64_t n) {
  const T* values = static_cast<const T*>(untyped);
  if (mask != nullptr) return sums_of<T, true, false>(values, mask, n);
  return nonzero ? sums_of<T, false, true>(values, mask, n) : sums_of<T, false, false>(values, mask, n);
}

}  // namespace

const Intensities intensities{choose_tile, moments_tile, sums<std::uint8_t>, sums<std::int16_t>, sums<std::uint16_t>};

}  // namespace layer_fast::kernels::LF_ISA
