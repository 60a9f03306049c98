// CPU: the parts of layer_reduce that are not worth a kernel of their own, a tile at a time.
#include "ops/layer_reduce_impl.hpp"

namespace layer_fast::impl {
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

}  // namespace layer_fast::impl
