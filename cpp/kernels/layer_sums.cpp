#include "kernels/layer_sums.hpp"

#include "kernels/layer_groups.hpp"
#include "kernels/layer_terms.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

constexpr int kBoundedRows = 16;  // with more, looking for the bounds would cost more than it saves

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
  __builtin_prefetch(values + kValuesAhead);
  __builtin_prefetch(labels + kLabelsAhead);
  if (!all_finite(values)) return add_any(tile, values, labels, kGroup);
  if (add_border(tile, values, labels)) return;
  bool inside = true;
  for (int h = 0; h < kHalves; ++h) {
    inside = inside & all_between(load_as<Floats>(values + h * kFull), tile.floor, tile.ceiling);
  }
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

// The next group, or more if they are of one label, of the first of them the bits of `head`: the others were added. A tail
// is the front of the group behind. count 0: a label is too high.
Added add_next(LayerTile& tile, const float* values, const std::uint8_t* labels, std::int64_t count, unsigned head) {
  if (!all_below_16(labels, tile.rows)) return {0, 0, false};
  if (head == kWhole && !all_equal_16(labels, labels[0])) {
    add_mixed(tile, values, labels);
    return {kGroup, 0, true};
  }
  const Added run = add_pure(tile, values, labels, count < kChunk ? count : kChunk, head);
  if (run.good) return run;
  std::int64_t i = 0;
  if (head != kWhole) {
    add_part(tile, values, labels, kGroup - 1, head);
    i = kGroup;
  }
  for (; i < run.count; i += kGroup) {
    if (!add_pure(tile, values + i, labels + i, kGroup).good) add_any(tile, values + i, labels + i, kGroup);
  }
  return {run.count, 0, true};
}

bool add(LayerTile& tile, const float* values, const std::uint8_t* labels, std::int64_t count) {
  std::int64_t i = 0;
  unsigned head = kWhole;
  while (count - i >= kGroup) {
    const Added added = add_next(tile, values + i, labels + i, count - i, head);
    if (added.count == 0) return false;
    i += added.count;
    head = ~added.tail & kWhole;
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
