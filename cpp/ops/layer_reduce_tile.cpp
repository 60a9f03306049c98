// CPU kernels of layer_reduce: one tile at a time, the maths of layer_reduce_accum.hpp.
#include <bit>
#include <cstring>

#include "ops/layer_reduce_impl.hpp"
#include "runtime/multi_isa.hpp"

namespace layer_fast::impl {
namespace {

// Voxels looked at together. One label and all finite is by far the usual case in layered tissue: no scatter then.
constexpr std::int64_t kBlock = 64;
static_assert(kBlock % kReduceLanes == 0 && kReduceTile % kBlock == 0);

void clear_lanes(ReduceLanes& lanes) {
  for (int j = 0; j < kReduceLanes; ++j) {
    lanes.pos[j] = lanes.neg[j] = lanes.sq[j] = lanes.weight[j] = 0.0;
    lanes.min[j] = __builtin_inff();
    lanes.max[j] = -__builtin_inff();
  }
  lanes.count = lanes.nonfinite = 0;
}

LayerPartial close_lanes(ReduceLanes& lanes) {
  LayerPartial part = empty_partial();
  part.pos = fold_lanes(lanes.pos);
  part.neg = fold_lanes(lanes.neg);
  part.sq = fold_lanes(lanes.sq);
  part.weight = fold_lanes(lanes.weight);
  part.count = lanes.count;
  part.nonfinite = lanes.nonfinite;
  for (int j = 0; j < kReduceLanes; ++j) {
    if (lanes.min[j] < part.min) part.min = lanes.min[j];
    if (lanes.max[j] > part.max) part.max = lanes.max[j];
  }
  return part;
}

LF_MULTI_ISA bool all_finite(const float* values) {
  std::uint32_t bad = 0;
  for (std::int64_t i = 0; i < kBlock; ++i) bad |= static_cast<std::uint32_t>(!is_finite(values[i]));
  return bad == 0;
}

bool one_label(const std::uint8_t* labels) {
  const std::uint64_t pattern = 0x0101010101010101u * labels[0];
  std::uint64_t words[kBlock / 8], difference = 0;
  std::memcpy(words, labels, kBlock);
  for (const std::uint64_t word : words) difference |= word ^ pattern;
  return difference == 0;
}

// How many voxels from here on share one label and are finite, in whole blocks.
std::int64_t run_length(const float* values, const std::uint8_t* labels, std::int64_t count) {
  std::int64_t length = 0;
  while (length + kBlock <= count && labels[length] == labels[0] && one_label(labels + length) &&
         all_finite(values + length)) {
    length += kBlock;
  }
  return length;
}

// Finite values of one layer, a whole number of blocks, the first of them in lane 0.
LF_MULTI_ISA void add_run(const float* values, std::int64_t count, ReduceLanes& lanes) {
  ReduceLanes sums = lanes;  // a local copy, so that it can stay in registers
  for (std::int64_t i = 0; i < count; i += kReduceLanes) {
    for (int j = 0; j < kReduceLanes; ++j) {
      const float value = values[i + j];
      const double wide = value;
      sums.pos[j] += positive_part(wide);
      sums.neg[j] += negative_part(wide);
      sums.sq[j] += wide * wide;
      sums.min[j] = value < sums.min[j] ? value : sums.min[j];
      sums.max[j] = value > sums.max[j] ? value : sums.max[j];
    }
  }
  lanes = sums;
  lanes.count += count;
}

LF_MULTI_ISA std::uint8_t highest_of(const std::uint8_t* labels, std::int64_t count) {
  std::uint8_t highest = 0;
  for (std::int64_t i = 0; i < count; ++i) highest = labels[i] > highest ? labels[i] : highest;
  return highest;
}

void open_lanes(std::uint8_t label, bool* seen, ReduceLanes* lanes) {
  if (!seen[label]) clear_lanes(lanes[label]);
  seen[label] = true;
}

// Any labels, any values, a whole number of lane groups, the first voxel in lane 0. Each label of a group takes its own
// voxels from the whole group; the others add an exact 0 to its sums.
LF_MULTI_ISA void add_mixed(const float* values, const std::uint8_t* labels, std::int64_t count, bool* seen,
                            ReduceLanes* lanes) {
  for (std::int64_t i = 0; i < count; i += kReduceLanes) {
    std::uint64_t done[4] = {};
    for (int first = 0; first < kReduceLanes; ++first) {
      const std::uint8_t label = labels[i + first];
      const std::uint64_t bit = std::uint64_t{1} << (label & 63);
      if ((done[label >> 6] & bit) != 0) continue;
      done[label >> 6] |= bit;
      open_lanes(label, seen, lanes);
      ReduceLanes& own = lanes[label];
      float value[kReduceLanes], low[kReduceLanes], high[kReduceLanes];  // locals, which nothing else can alias
      int mine = 0, kept = 0;
      for (int j = 0; j < kReduceLanes; ++j) {
        const bool here = labels[i + j] == label, in = here & is_finite(values[i + j]);
        value[j] = in ? values[i + j] : 0.0f;
        low[j] = in ? values[i + j] : __builtin_inff();
        high[j] = in ? values[i + j] : -__builtin_inff();
        mine += here;
        kept += in;
      }
      for (int j = 0; j < kReduceLanes; ++j) {
        const double wide = value[j];
        own.pos[j] += positive_part(wide);
        own.neg[j] += negative_part(wide);
        own.sq[j] += wide * wide;
        own.min[j] = low[j] < own.min[j] ? low[j] : own.min[j];
        own.max[j] = high[j] > own.max[j] ? high[j] : own.max[j];
      }
      own.count += kept;
      own.nonfinite += mine - kept;
    }
  }
}

void add_voxel(float value, std::int64_t j, ReduceLanes& lanes) {
  if (!is_finite(value)) {
    ++lanes.nonfinite;
    return;
  }
  const double wide = value;
  lanes.pos[j] += positive_part(wide);
  lanes.neg[j] += negative_part(wide);
  lanes.sq[j] += wide * wide;
  lanes.min[j] = value < lanes.min[j] ? value : lanes.min[j];
  lanes.max[j] = value > lanes.max[j] ? value : lanes.max[j];
  ++lanes.count;
}

}  // namespace

std::uint8_t highest_label(const std::uint8_t* labels, std::int64_t count) { return highest_of(labels, count); }

void reduce_tile(const float* values, const std::uint8_t* labels, std::int64_t count, int rows, ReduceLanes* lanes,
                 LayerPartial* out) {
  bool seen[256] = {};
  for (std::int64_t i = 0; i < count;) {
    if (const std::int64_t run = run_length(values + i, labels + i, count - i); run > 0) {
      open_lanes(labels[i], seen, lanes);
      add_run(values + i, run, lanes[labels[i]]);
      i += run;
      continue;
    }
    const std::int64_t block = count - i < kBlock ? count - i : kBlock, whole = block - block % kReduceLanes;
    add_mixed(values + i, labels + i, whole, seen, lanes);
    for (std::int64_t j = 0; j < block - whole; ++j) {
      open_lanes(labels[i + whole + j], seen, lanes);
      add_voxel(values[i + whole + j], j, lanes[labels[i + whole + j]]);
    }
    i += block;
  }
  for (int row = 0; row < rows; ++row) {
    out[row] = empty_partial();
    if (!seen[row]) continue;
    out[row] = close_lanes(lanes[row]);
    out[row].weight = static_cast<double>(out[row].count);
  }
}

bool reduce_tile_weighted(const float* values, const float* weights, std::int64_t count, ReduceLanes& lanes,
                          LayerPartial& out) {
  clear_lanes(lanes);
  bool good = true;
  for (std::int64_t i = 0; i < count; ++i) {
    const float value = values[i], weight = weights[i];
    good = good && weight >= 0.0f && is_finite(weight);
    if (!(weight > 0.0f)) continue;
    if (!is_finite(value)) {
      ++lanes.nonfinite;
      continue;
    }
    const std::int64_t j = i % kReduceLanes;
    const double wide = value, w = weight;
    lanes.pos[j] += w * positive_part(wide);
    lanes.neg[j] += w * negative_part(wide);
    lanes.sq[j] += w * (wide * wide);
    lanes.weight[j] += w;
    lanes.min[j] = value < lanes.min[j] ? value : lanes.min[j];
    lanes.max[j] = value > lanes.max[j] ? value : lanes.max[j];
    ++lanes.count;
  }
  out = close_lanes(lanes);
  return good;
}

void histogram_tile(const float* values, const std::uint8_t* labels, std::int64_t count, const HistogramRange& range,
                    std::int64_t* bins) {
  const double per_unit = range.bins / (range.high - range.low);
  for (std::int64_t i = 0; i < count; ++i) {
    if (!is_finite(values[i])) continue;
    const int bin = histogram_bin(values[i], range.low, range.high, per_unit, range.bins);
    ++bins[labels[i] * (static_cast<std::int64_t>(range.bins) + 2) + bin];
  }
}

void gather_tile(const float* values, const std::uint8_t* labels, std::int64_t count, float* out, std::int64_t* next) {
  for (std::int64_t i = 0; i < count;) {
    if (const std::int64_t run = run_length(values + i, labels + i, count - i); run > 0) {
      std::memcpy(out + next[labels[i]], values + i, static_cast<std::size_t>(run) * sizeof(float));
      next[labels[i]] += run;
      i += run;
      continue;
    }
    const std::int64_t end = i + kBlock < count ? i + kBlock : count;
    for (; i < end; ++i) {
      if (is_finite(values[i])) out[next[labels[i]]++] = values[i];
    }
  }
}

}  // namespace layer_fast::impl
