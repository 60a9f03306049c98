// Groups of one label, and borders between two, as whole registers. Only kernels include this.
#pragma once

#include "kernels/label_bytes.hpp"
#include "kernels/layer_sums.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

constexpr int kGroup = kReduceLanes;     // voxels that have a lane each
constexpr unsigned kWhole = 0xffff;      // a bit for each of them
constexpr std::int64_t kChunk = 1024;    // of a run: what is done again, a group at a time, if there is a hole
constexpr std::int64_t kValuesAhead = 1024, kLabelsAhead = 4096;
constexpr int kParts = kGroup / kWide;   // vectors of doubles per sum and group
constexpr int kHalves = kGroup / kFull;  // vectors of floats per group
constexpr float kLargest = __FLT_MAX__;
static_assert(kChunk % kGroup == 0 && kReduceTile % kGroup == 0);
using Pure = LayerTile::Pure;

inline bool all_finite(const float* values) {
  bool finite = true;
  for (int h = 0; h < kHalves; ++h) {
    finite = finite & all_between(load_as<Floats>(values + h * kFull), -kLargest, kLargest);
  }
  return finite;
}

// Of a group the bits of its first voxel's label, if it is a border: of two labels, of which one is its first voxel's and
// the other its last's. Else 0.
inline unsigned front_of_border(const std::uint8_t* labels) {
  const unsigned front = equal_bits(labels, labels[0]), back = equal_bits(labels, labels[kGroup - 1]);
  return labels[0] != labels[kGroup - 1] && (front | back) == kWhole ? front : 0;
}

// The lanes of a range are folded: least and largest do not depend on an order. NaN is passed over: the sums find it.
inline void widen_range(Floats low, Floats high, Pure& pure) {
  store_as(pure.low, min_of(low, load_as<Floats>(pure.low)));
  store_as(pure.high, max_of(high, load_as<Floats>(pure.high)));
}

// A group of which only the voxels of one label count: the others are 0 for the sums, and one of those for the range.
struct Part {
  float sums[kGroup], range[kGroup];
};

// own: one of the label's voxels.
inline void cut(const float* values, const std::uint8_t* labels, int own, Part& part) {
  for (int h = 0; h < kGroup; h += kFull) {
    cut_out(values + h, labels + h, labels + own, values + own, part.sums + h, part.range + h);
  }
}

// The sums of a layer in registers.
template <bool kSigned>
struct Sums {
  Doubles pos[kParts], neg[kParts], sq[kParts];

  inline void read(const Pure& pure) {
    for (int p = 0; p < kParts; ++p) {
      pos[p] = load_as<Doubles>(pure.pos + p * kWide);
      if (kSigned) neg[p] = load_as<Doubles>(pure.neg + p * kWide);
      sq[p] = load_as<Doubles>(pure.sq + p * kWide);
    }
  }

  inline void add(const float* values) {
    for (int p = 0; p < kParts; ++p) {
      const Doubles value = widen(values + p * kWide);
      pos[p] += kSigned ? max_of(value, fresh_zeros()) : value;
      if (kSigned) neg[p] += min_of(value, fresh_zeros());
      sq[p] = add_square(sq[p], value);
    }
  }

  // NaN and Inf make a sum of squares NaN or Inf; the square of a finite float32 cannot overflow float64.
  inline bool finite() const {
    Doubles test = {};
    for (int p = 0; p < kParts; ++p) test += sq[p] - sq[p];
    return !any_nan(test);
  }

  inline void write(Pure& pure) const {
    for (int p = 0; p < kParts; ++p) {
      store_as(pure.pos + p * kWide, pos[p]);
      if (kSigned) store_as(pure.neg + p * kWide, neg[p]);
      store_as(pure.sq + p * kWide, sq[p]);
    }
  }
};

// Voxels from the first group on, and of the border behind them the bits that were added. If not good, none was.
struct Added {
  std::int64_t count;
  unsigned tail;
  bool good;
};

// Adds a run: of the first group the bits of `head`, then whole groups of the label that its last voxel has, then the
// front of the border behind them. Not if a value is NaN or Inf; nor, without signs, if one is negative: with none the
// negative sums would only get zeros. A border with holes is left alone.
//
// Runs are short where layers are thin, and each loop over one ends in a wrong guess of the processor: so there is one loop
// for labels, range and sums, and parts of borders go through it too. Not inlined: with anything else alive the sums would
// leave the registers.
template <bool kSigned>
[[gnu::noinline]] Added add_run(
    const float* values, const std::uint8_t* labels, std::int64_t count, unsigned head, Pure& pure) {
  const std::uint8_t label = labels[kGroup - 1];
  Part part;
  if (head != kWhole) cut(values, labels, kGroup - 1, part);
  const float* summed = head != kWhole ? part.sums : values;
  const float* ranged = head != kWhole ? part.range : values;
  Floats low = load_as<Floats>(ranged), high = low;
  Sums<kSigned> sums;
  sums.read(pure);
  std::int64_t i = 0;
  unsigned tail = 0;
  while (true) {
    __builtin_prefetch(values + i + kValuesAhead);
    __builtin_prefetch(labels + i + kLabelsAhead);
    for (int h = 0; h < kHalves; ++h) {
      const auto value = load_as<Floats>(ranged + h * kFull);
      low = min_of(value, low);
      high = max_of(value, high);
    }
    sums.add(summed);
    i += kGroup;
    if (i + kGroup > count) break;
    summed = ranged = values + i;
    if (all_equal_16(labels + i, label)) continue;
    if (labels[i] != label || !all_finite(values + i)) break;
    tail = front_of_border(labels + i);
    if (tail == 0) break;
    cut(values + i, labels + i, 0, part);
    summed = part.sums;
    ranged = part.range;
    count = 0;
  }
  if (tail != 0) i -= kGroup;
  if (!sums.finite() || (!kSigned && !all_between(low, 0.0f, __builtin_inff()))) return {i, 0, false};
  sums.write(pure);
  widen_range(low, high, pure);
  return {i, tail, true};
}

// The same, with signs once the tile's layer has shown a negative value.
Added add_pure(
    LayerTile& tile, const float* values, const std::uint8_t* labels, std::int64_t count, unsigned head = kWhole) {
  const int label = labels[kGroup - 1];
  Pure& pure = tile.pure[label];
  Added added{0, 0, false};
  if (!tile.is_signed[label]) {
    added = add_run<false>(values, labels, count, head, pure);
    tile.is_signed[label] = !added.good;
  }
  if (tile.is_signed[label]) added = add_run<true>(values, labels, count, head, pure);
  if (added.good) {
    const int parts = __builtin_popcount(head) - kGroup + __builtin_popcount(added.tail);
    tile.pure_count[label] += static_cast<std::int32_t>(added.count) + parts;
  }
  return added;
}

// The voxels of one label, whose bits these are, of a group without holes.
void add_part(LayerTile& tile, const float* values, const std::uint8_t* labels, int own, unsigned bits) {
  Pure& pure = tile.pure[labels[own]];
  Part part;
  cut(values, labels, own, part);
  Sums<true> sums;
  sums.read(pure);
  sums.add(part.sums);
  sums.write(pure);
  for (int h = 0; h < kGroup; h += kFull) {
    const auto value = load_as<Floats>(part.range + h);
    widen_range(value, value, pure);
  }
  tile.pure_count[labels[own]] += __builtin_popcount(bits);
}

// A group without holes, if it is a border.
bool add_border(LayerTile& tile, const float* values, const std::uint8_t* labels) {
  const unsigned front = front_of_border(labels);
  if (front == 0) return false;
  add_part(tile, values, labels, 0, front);
  add_part(tile, values, labels, kGroup - 1, ~front & kWhole);
  return true;
}

}  // namespace
}  // namespace layer_fast::kernels::LF_ISA
