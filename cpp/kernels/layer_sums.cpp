#include "kernels/layer_sums.hpp"

#include "kernels/layer_terms.hpp"
#include "kernels/vectors.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

constexpr int kGroup = kReduceLanes;     // voxels that have a lane each
constexpr std::int64_t kChunk = 1024;    // of a run: what is done again, a group at a time, if there is a hole
constexpr std::int64_t kValuesAhead = 1024, kLabelsAhead = 4096;
constexpr int kParts = kGroup / kWide;   // vectors of doubles per sum and group
constexpr int kHalves = kGroup / kFull;  // vectors of floats per group
static_assert(kChunk % kGroup == 0 && kReduceTile % kGroup == 0);
constexpr float kLargest = __FLT_MAX__;
constexpr int kBoundedRows = 16;  // with more, looking for the bounds would cost more than it saves
using Pure = LayerTile::Pure;

// ---- groups of one label, or of two ----

// The lanes of a range are folded: least and largest do not depend on an order. NaN is passed over: the sums find it.
void widen_range(Floats low, Floats high, Pure& pure) {
  store_as(pure.low, min_of(low, load_as<Floats>(pure.low)));
  store_as(pure.high, max_of(high, load_as<Floats>(pure.high)));
}

struct Added {
  std::int64_t count;  // voxels
  bool good;           // if not, none was added
};

// Adds the first group, which is of one label, and those behind it that are all of that label. Not if a value is NaN or
// Inf: then a sum of squares is (the square of a finite float32 cannot overflow float64). Nor, without signs, if one is
// negative; with none the negative sums would only get zeros.
//
// Runs are short where layers are thin, and each loop over one ends in a wrong guess of the processor: so there is one loop
// for labels, range and sums. Not inlined: with anything else alive the sums would leave the registers.
template <bool kSigned>
[[gnu::noinline]] Added add_groups(const float* values, const std::uint8_t* labels, std::int64_t count, Pure& pure) {
  const std::uint8_t label = labels[0];
  Doubles pos[kParts], neg[kParts], sq[kParts];
  Floats low = load_as<Floats>(values), high = low;
  for (int p = 0; p < kParts; ++p) {
    pos[p] = load_as<Doubles>(pure.pos + p * kWide);
    if (kSigned) neg[p] = load_as<Doubles>(pure.neg + p * kWide);
    sq[p] = load_as<Doubles>(pure.sq + p * kWide);
  }
  std::int64_t i = 0;
  do {  // the first group is known to be of one label
    __builtin_prefetch(values + i + kValuesAhead);
    __builtin_prefetch(labels + i + kLabelsAhead);
    for (int h = 0; h < kHalves; ++h) {
      const auto value = load_as<Floats>(values + i + h * kFull);
      low = min_of(value, low);
      high = max_of(value, high);
    }
    for (int p = 0; p < kParts; ++p) {
      const Doubles value = widen(values + i + p * kWide);
      pos[p] += kSigned ? max_of(value, fresh_zeros()) : value;
      if (kSigned) neg[p] += min_of(value, fresh_zeros());
      sq[p] = add_square(sq[p], value);
    }
    i += kGroup;
  } while (i + kGroup <= count && all_equal_16(labels + i, label));
  Doubles test = {};
  for (int p = 0; p < kParts; ++p) test += sq[p] - sq[p];
  if (any_nan(test) || (!kSigned && !all_between(low, 0.0f, __builtin_inff()))) return {i, false};
  for (int p = 0; p < kParts; ++p) {
    store_as(pure.pos + p * kWide, pos[p]);
    if (kSigned) store_as(pure.neg + p * kWide, neg[p]);
    store_as(pure.sq + p * kWide, sq[p]);
  }
  widen_range(low, high, pure);
  return {i, true};
}

// The same, with signs once the tile's layer has shown a negative value.
Added add_pure(LayerTile& tile, const float* values, const std::uint8_t* labels, std::int64_t count) {
  const int label = labels[0];
  Pure& pure = tile.pure[label];
  Added added{0, false};
  if (!tile.is_signed[label]) {
    added = add_groups<false>(values, labels, count, pure);
    tile.is_signed[label] = !added.good;
  }
  if (tile.is_signed[label]) added = add_groups<true>(values, labels, count, pure);
  if (added.good) tile.pure_count[label] += static_cast<std::int32_t>(added.count);
  return added;
}

// Adds the voxels of a group, without holes, whose bits are set; the others add 0.
void add_part(LayerTile& tile, const float* values, int label, unsigned bits) {
  const float inf = __builtin_inff();
  const Doubles zero = {};
  Pure& pure = tile.pure[label];
  Floats low = Floats{} + inf, high = Floats{} - inf;
  float own[kGroup];
  for (int h = 0; h < kHalves; ++h) {
    const auto value = load_as<Floats>(values + h * kFull);
    const unsigned here = bits >> (h * kFull);
    store_as(own + h * kFull, keep(value, here, Floats{}));
    low = min_of(keep(value, here, Floats{} + inf), low);
    high = max_of(keep(value, here, Floats{} - inf), high);
  }
  for (int i = 0; i < kGroup; i += kWide) {
    const Doubles value = widen(own + i);
    store_as(pure.pos + i, load_as<Doubles>(pure.pos + i) + max_of(value, zero));
    store_as(pure.neg + i, load_as<Doubles>(pure.neg + i) + min_of(value, zero));
    store_as(pure.sq + i, add_square(load_as<Doubles>(pure.sq + i), value));
  }
  widen_range(low, high, pure);
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

inline void add_terms(LayerTile& tile, Terms terms, int label, int lane) {
  double* sums = tile.mixed[label][lane];
  store_as(sums, load_as<Terms>(sums) + terms);
}

// A group of finite values.
inline void add_all_terms(LayerTile& tile, const float* values, const std::uint8_t* labels) {
#pragma GCC unroll 4
  for (int j = 0; j < kGroup; j += 4) {
    Terms terms[4];
    terms_of(values + j, terms);
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) add_terms(tile, terms[k], labels[j + k], j + k);
  }
}

void set_bounds(LayerTile& tile) {
  tile.floor = tile.low[0];
  tile.ceiling = tile.high[0];
  for (int row = 1; row < tile.rows; ++row) {
    tile.floor = tile.low[row] > tile.floor ? tile.low[row] : tile.floor;
    tile.ceiling = tile.high[row] < tile.ceiling ? tile.high[row] : tile.ceiling;
  }
}

inline void widen_layer(LayerTile& tile, float value, int label) {
  if (value < tile.low[label]) tile.low[label] = value;
  if (value > tile.high[label]) tile.high[label] = value;
}

// Up to a group of any values, the first in lane 0.
void add_any(LayerTile& tile, const float* values, const std::uint8_t* labels, int count) {
  for (int j = 0; j < count; ++j) {
    if (!is_finite(values[j])) {
      ++tile.nonfinite[labels[j]];
      continue;
    }
    const float alone[4] = {values[j]};
    Terms terms[4];
    terms_of(alone, terms);
    add_terms(tile, terms[0], labels[j], j);
    widen_layer(tile, values[j], labels[j]);
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
  add_all_terms(tile, values, labels);
  if (inside) return;
  for (int j = 0; j < kGroup; ++j) widen_layer(tile, values[j], labels[j]);
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
    tile.is_signed[row] = false;
  }
  tile.floor = inf;
  tile.ceiling = -inf;
  tile.rows = rows;
}

// The next group, or more if they are of one label; how many voxels. 0: a label is too high.
std::int64_t add_next(LayerTile& tile, const float* values, const std::uint8_t* labels, std::int64_t count) {
  if (!all_below_16(labels, tile.rows)) return 0;
  if (!all_equal_16(labels, labels[0])) {
    add_mixed(tile, values, labels);
    return kGroup;
  }
  const Added run = add_pure(tile, values, labels, count < kChunk ? count : kChunk);
  if (run.good) return run.count;
  for (std::int64_t i = 0; i < run.count; i += kGroup) {
    if (!add_pure(tile, values + i, labels + i, kGroup).good) add_any(tile, values + i, labels + i, kGroup);
  }
  return run.count;
}

bool add(LayerTile& tile, const float* values, const std::uint8_t* labels, std::int64_t count) {
  std::int64_t i = 0;
  while (count - i >= kGroup) {
    const std::int64_t done = add_next(tile, values + i, labels + i, count - i);
    if (done == 0) return false;
    i += done;
  }
  for (std::int64_t j = i; j < count; ++j) {
    if (labels[j] >= tile.rows) return false;
  }
  add_any(tile, values + i, labels + i, static_cast<int>(count - i));
  return true;
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
