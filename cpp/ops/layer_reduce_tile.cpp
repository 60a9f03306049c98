// CPU: the parts of layer_reduce that are not worth a kernel of their own, a tile at a time.
#include <cstring>

#include "ops/layer_reduce_impl.hpp"

namespace layer_fast::impl {
namespace {

// Voxels looked at together. One label and all finite is by far the usual case in layered tissue: no scatter then.
constexpr std::int64_t kBlock = 64;
static_assert(kBlock % kReduceLanes == 0 && kReduceTile % kBlock == 0);

bool all_finite(const float* values) {
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

}  // namespace

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

bool add_weighted(const float* values, const float* weights, std::int64_t count, ReduceLanes& lanes) {
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
