#pragma once

#include <string>
#include <vector>

#include "layer_fast/layer_reduce.hpp"
#include "ops/layer_reduce_accum.hpp"
#include "ops/map_reader.hpp"

namespace layer_fast::impl {

// The CPU's twins take one scan: maps (K, z, y, x), labels (z, y, x) or weights (R, z, y, x), results without N. CUDA's take
// a batch: maps (N * K, z, y, x), labels or weights with N in front, results (N * K, R, ...).
void layer_reduce_cpu(const ArrayView& maps, const ArrayView& labels, const LayerReduceOut& out,
                      const LayerReduceOptions& options);
void layer_reduce_cuda(const ArrayView& maps, const ArrayView& labels, const LayerReduceOut& out,
                       const LayerReduceOptions& options);
void layer_reduce_weighted_cpu(const ArrayView& maps, const ArrayView& weights, const LayerReduceOut& out,
                               const LayerReduceOptions& options);
void layer_reduce_weighted_cuda(const ArrayView& maps, const ArrayView& weights, const LayerReduceOut& out,
                                const LayerReduceOptions& options);

// Which scan an error is about, behind its text.
inline std::string in_scan(std::int64_t scan, std::int64_t scans) {
  return scans == 1 ? "" : " in scan " + std::to_string(scan) + " of the batch";
}

// ---- CPU: one tile of one map -------------------------------------------------------------------------------------

// Lanes of one layer of a soft mask inside one tile: one accumulator a lane, since every voxel is in every layer.
struct ReduceLanes {
  double pos[kReduceLanes], neg[kReduceLanes], sq[kReduceLanes], weight[kReduceLanes];
  float min[kReduceLanes], max[kReduceLanes];
  std::int64_t count, nonfinite;
};

void clear_lanes(ReduceLanes& lanes);
LayerPartial close_lanes(ReduceLanes& lanes);

// Adds `count` voxels, the first of them in lane 0. Returns false if a weight is negative, NaN or Inf.
bool add_weighted(const float* values, const float* weights, std::int64_t count, ReduceLanes& lanes);

// Adds the finite values to bins[label * (range.bins + 2) + bin].
void histogram_tile(const float* values, const std::uint8_t* labels, std::int64_t count, const HistogramRange& range,
                    std::int64_t* bins);

// ---- CPU: parts of the driver --------------------------------------------------------------------------------------

// Writes all moments of one (map, layer) at `row`, except argmax.
void write_moments(const LayerPartial& part, std::size_t row, const LayerReduceOut& out);

// Quantiles and top shares of all maps; count, min, max and sum are written already.
void layer_order_statistics(const ArrayView& maps, const ArrayView& labels, const MapReader& reader,
                            const LayerReduceOut& out, const LayerReduceOptions& options, int threads);

}  // namespace layer_fast::impl
