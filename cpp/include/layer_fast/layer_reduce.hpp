// Statistics of maps inside the layers of a label volume, in one pass.
#pragma once

#include <optional>
#include <vector>

#include "layer_fast/array.hpp"
#include "layer_fast/resample.hpp"

namespace layer_fast {

// Bins of equal width from low to high that do not depend on the data.
struct HistogramRange {
  double low, high;
  int bins;
};

struct LayerReduceOptions {
  int num_layers = 6;
  std::optional<GridMap> grid_map;       // labels' index -> map index; none: half-pixel formula
  std::vector<double> quantiles;         // in [0, 1]; numpy's linear definition
  std::optional<double> top_fraction;    // in (0, 1]
  std::optional<HistogramRange> histogram;
  Place place;
};

// Row (k, l) describes map k inside layer l; R = num_layers + 1 rows, row 0 is the background.
struct LayerReduceOut {
  ArrayView count, nonfinite, argmax;                // int64 (K, R)
  ArrayView sum, sum_sq, sum_abs, sum_pos, weight;   // float64 (K, R)
  ArrayView min, max;                                // float32 (K, R), NaN where count is 0
  ArrayView quantiles;                               // float64 (K, R, Q); only if asked for
  ArrayView top_share;                               // float64 (K, R); only if asked for
  ArrayView histogram;                               // int64 (K, R, bins + 2), underflow first, overflow last; if asked for
};

// maps: float32 (K, mz, my, mx). labels: uint8 (z, y, x). A label above num_layers is an error.
// Or a batch of N scans: maps (N, K, mz, my, mx), labels (N, z, y, x), every result with N in front. The bytes are those
// of N calls; CUDA makes the launches of one, and looks for quantiles and top shares map by map.
void layer_reduce(const ArrayView& maps, const ArrayView& labels, const LayerReduceOut& out,
                  const LayerReduceOptions& options);

// weights: float32 (R, z, y, x) or (N, R, z, y, x), a soft mask in place of labels; finite and not negative.
// count is the number of voxels of positive weight; no quantiles, top_share or histogram.
void layer_reduce_weighted(const ArrayView& maps, const ArrayView& weights, const LayerReduceOut& out,
                           const LayerReduceOptions& options);

}  // namespace layer_fast
