#include "kernels/layer_sums.hpp"

#include "kernels/vectors.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

constexpr int kGroup = kReduceLanes;     // voxels that have a lane each
constexpr std::int64_t kChunk = 1024;    // of a run: stays in the nearest cache for its two passes
constexpr int kParts = kGroup / kWide;   // vectors of doubles per sum and group
constexpr int kHalves = kGroup / kFull;  // vectors of floats per group
static_assert(kChunk % kGroup == 0 && kReduceTile % kGroup == 0);
constexpr float kLargest = __FLT_MAX__;
constexpr int kBoundedRows = 16;  // with more, looking for the bounds would cost more than it saves
using Pure = LayerTile::Pure;

// ---- groups of one label, or of two ----

struct Range {
  Floats low[kHalves], high[kHalves];
};

// NaN is passed over: add_sums finds it.
Range range_of(const float* values, std::int64_t count) {
  Range range;
  for (int h = 0; h < kHalves; ++h) range.low[h] = range.high[h] = load_as<Floats>(values + h * kFull);
  for (std::int64_t i = kGroup; i < count; i += kGroup) {
    for (int h = 0; h < kHalves; ++h) {
      const auto value = load_as<Floats>(values + i + h * kFull);
      range.low[h] = min_of(value, range.low[h]);
      range.high[h] = max_of(value, range.high[h]);
    }
  }
  return range;
}

void widen_range(const Range& range, Pure& pure) {
  for (int h = 0; h < kHalves; ++h) {
    float* low = pure.low + h * kFull;
    float* high = pure.high + h * kFull;
    store_as(low, min_of(range.low[h], load_as<Floats>(low)));
    store_as(high, max_of(range.high[h], load_as<Floats>(high)));
  }
}

// Adds whole groups; false, and nothing added, if a value is NaN or Inf: then a sum of squares is (the square of a finite
// float32 cannot overflow float64). Without signs all values are >= 0, and the negative sums would only get zeros.
template <bool kSigned>
bool add_sums(const float* values, std::int64_t count, Pure& pure) {
  Doubles pos[kParts], neg[kParts], sq[kParts];
  const Doubles zero = {};
  for (int p = 0; p < kParts; ++p) {
    pos[p] = load_as<Doubles>(pure.pos + p * kWide);
    neg[p] = load_as<Doubles>(pure.neg + p * kWide);
    sq[p] = load_as<Doubles>(pure.sq + p * kWide);
  }
  for (std::int64_t i = 0; i < count; i += kGroup) {
    __builtin_prefetch(values + i + kChunk);  // what the next pass over the range will wait for
    for (int p = 0; p < kParts; ++p) {
      const Doubles value = widen(values + i + p * kWide);
      pos[p] += kSigned ? max_of(value, zero) : value;
      if (kSigned) neg[p] += min_of(value, zero);
      sq[p] += value * value;
    }
  }
  Doubles test = zero;
  for (int p = 0; p < kParts; ++p) test += sq[p] - sq[p];
  if (any_nan(test)) return false;
  for (int p = 0; p < kParts; ++p) {
    store_as(pure.pos + p * kWide, pos[p]);
    if (kSigned) store_as(pure.neg + p * kWide, neg[p]);
    store_as(pure.sq + p * kWide, sq[p]);
  }
  return true;
}

bool add_pure(LayerTile& tile, const float* values, int label, std::int64_t count) {
  const Range range = range_of(values, count);
  Pure& pure = tile.pure[label];
  Floats least = range.low[0];
  for (int h = 1; h < kHalves; ++h) least = min_of(least, range.low[h]);
  const bool positive = all_between(least, 0.0f, __builtin_inff());
  if (!(positive ? add_sums<false>(values, count, pure) : add_sums<true>(values, count, pure))) return false;
  widen_range(range, pure);
  tile.pure_count[label] += static_cast<std::int32_t>(count);
  return true;
}

// Adds the voxels of a group, without holes, whose bits are set; the others add 0.
void add_part(LayerTile& tile, const float* values, int label, unsigned bits) {
  const float inf = __builtin_inff();
  Pure& pure = tile.pure[label];
  Range range;
  float own[kGroup];
  for (int h = 0; h < kHalves; ++h) {
    const auto value = load_as<Floats>(values + h * kFull);
    const unsigned here = bits >> (h * kFull);
    store_as(own + h * kFull, keep(value, here, Floats{}));
    range.low[h] = keep(value, here, Floats{} + inf);
    range.high[h] = keep(value, here, Floats{} - inf);
  }
  add_sums<true>(own, kGroup, pure);
  widen_range(range, pure);
  tile.pure_count[label] += __builtin_popcount(bits);
}

// A border: a group, without holes, of its first and its last voxel's labels. False: it has others.
bool add_border(LayerTile& tile, const float* values, const std::uint8_t* labels) {
  const int first = labels[0], last = labels[kGroup - 1];
  const unsigned front = equal_bits(labels, labels[0]), back = equal_bits(labels, labels[kGroup - 1]);
  if (first == last || (front | back) != 0xffffu) return false;
  add_part(tile, values, first, front);
  add_part(tile, values, last, back);
  return true;
}

// ---- groups of any labels, or with holes ----

#if defined(__AVX2__)

using Terms = __m256d;

// What one finite voxel adds.
Terms terms_of(float value) {
  const double inf = __builtin_inf();
  const Terms wide = _mm256_cvtps_pd(_mm_set1_ps(value));
  const Terms bounded = _mm256_min_pd(_mm256_max_pd(wide, Terms{0.0, -inf, -inf, 1.0}), Terms{inf, 0.0, inf, 1.0});
  return bounded * _mm256_blend_pd(Terms{1.0, 1.0, 1.0, 1.0}, wide, 0x4);
}

#else

struct Terms {
  double pos, neg, sq, count;
};

Terms terms_of(float value) {
  const double wide = value;
  return {positive_part(wide), negative_part(wide), wide * wide, 1.0};
}

Terms operator+(Terms a, Terms b) { return {a.pos + b.pos, a.neg + b.neg, a.sq + b.sq, a.count + b.count}; }

#endif

inline void add_terms(LayerTile& tile, float value, int label, int lane) {
  double* sums = tile.mixed[label][lane];
  store_as(sums, load_as<Terms>(sums) + terms_of(value));
}

void set_bounds(LayerTile& tile) {
  tile.floor = tile.low[0];
  tile.ceiling = tile.high[0];
  for (int row = 1; row < tile.rows; ++row) {
    tile.floor = tile.low[row] > tile.floor ? tile.low[row] : tile.floor;
    tile.ceiling = tile.high[row] < tile.ceiling ? tile.high[row] : tile.ceiling;
  }
}

inline void add_voxel(LayerTile& tile, float value, int label, int lane) {
  add_terms(tile, value, label, lane);
  if (value < tile.low[label]) tile.low[label] = value;
  if (value > tile.high[label]) tile.high[label] = value;
}

// Up to a group of any values, the first in lane 0.
void add_any(LayerTile& tile, const float* values, const std::uint8_t* labels, int count) {
  for (int j = 0; j < count; ++j) {
    if (is_finite(values[j])) {
      add_voxel(tile, values[j], labels[j], j);
    } else {
      ++tile.nonfinite[labels[j]];
    }
  }
}

// A group. Between floor and ceiling it can widen no layer's range.
void add_mixed(LayerTile& tile, const float* values, const std::uint8_t* labels) {
  bool inside = true, finite = true;
  for (int h = 0; h < kHalves; ++h) {
    const auto value = load_as<Floats>(values + h * kFull);
    inside = inside & all_between(value, tile.floor, tile.ceiling);
    finite = finite & all_between(value, -kLargest, kLargest);
  }
  if (!finite) return add_any(tile, values, labels, kGroup);
  if (add_border(tile, values, labels)) return;
  if (inside) {
#pragma GCC unroll 16
    for (int j = 0; j < kGroup; ++j) add_terms(tile, values[j], labels[j], j);
    return;
  }
#pragma GCC unroll 16
  for (int j = 0; j < kGroup; ++j) add_voxel(tile, values[j], labels[j], j);
  if (tile.rows <= kBoundedRows) set_bounds(tile);
}

// ---- a tile ----

void open(LayerTile& tile, int rows) {
  const float inf = __builtin_inff();
  __builtin_memset(tile.mixed, 0, static_cast<std::size_t>(rows) * sizeof(tile.mixed[0]));
  for (int row = 0; row < rows; ++row) {
    Pure& pure = tile.pure[row];
    __builtin_memset(&pure, 0, sizeof(pure));
    for (int j = 0; j < kGroup; ++j) pure.low[j] = inf;
    for (int j = 0; j < kGroup; ++j) pure.high[j] = -inf;
    tile.low[row] = inf;
    tile.high[row] = -inf;
    tile.pure_count[row] = tile.nonfinite[row] = 0;
  }
  tile.floor = inf;
  tile.ceiling = -inf;
  tile.rows = rows;
}

// Whole groups of one label.
void add_run(LayerTile& tile, const float* values, const std::uint8_t* labels, std::int64_t count) {
  for (std::int64_t i = 0; i < count; i += kChunk) {
    const std::int64_t n = count - i < kChunk ? count - i : kChunk;
    if (add_pure(tile, values + i, labels[0], n)) continue;
    for (std::int64_t j = i; j < i + n; j += kGroup) {
      if (!add_pure(tile, values + j, labels[0], kGroup)) add_any(tile, values + j, labels + j, kGroup);
    }
  }
}

void add(LayerTile& tile, const float* values, const std::uint8_t* labels, std::int64_t count) {
  for (std::int64_t i = 0; i < count;) {
    const std::int64_t length = run_length(labels + i, count - i);
    if (length > 0) {
      add_run(tile, values + i, labels + i, length);
      i += length;
    } else if (count - i >= kGroup) {
      add_mixed(tile, values + i, labels + i);
      i += kGroup;
    } else {
      return add_any(tile, values + i, labels + i, static_cast<int>(count - i));
    }
  }
}

void close(const LayerTile& tile, LayerPartial* out) {
  for (int row = 0; row < tile.rows; ++row) {
    const Pure& pure = tile.pure[row];
    double lanes[4][kGroup];
    LayerPartial& part = out[row] = empty_partial();
    part.nonfinite = tile.nonfinite[row];
    part.min = tile.low[row];
    part.max = tile.high[row];
    for (int j = 0; j < kGroup; ++j) {
      part.min = pure.low[j] < part.min ? pure.low[j] : part.min;
      part.max = pure.high[j] > part.max ? pure.high[j] : part.max;
    }
    if (part.min > part.max) continue;
    for (int j = 0; j < kGroup; ++j) {
      const double* mixed = tile.mixed[row][j];
      lanes[0][j] = pure.pos[j] + mixed[0];
      lanes[1][j] = pure.neg[j] + mixed[1];
      lanes[2][j] = pure.sq[j] + mixed[2];
      lanes[3][j] = mixed[3];
    }
    part.pos = fold_lanes(lanes[0]);
    part.neg = fold_lanes(lanes[1]);
    part.sq = fold_lanes(lanes[2]);
    part.weight = fold_lanes(lanes[3]) + static_cast<double>(tile.pure_count[row]);
    part.count = static_cast<std::int64_t>(part.weight);
  }
}

}  // namespace

const LayerSums layer_sums{open, add, close};

}  // namespace layer_fast::kernels::LF_ISA
