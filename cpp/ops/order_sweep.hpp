// One look at all values of all layers, for order_search.cpp: what both twins must be able to do, and the CPU's way.
//
// The order that decides the bytes of a top sum: voxels are cut into strips (see Strips) of pieces of kOrderPiece. In a
// piece the voxels of a layer, finite or not, are numbered in memory order; number i adds to lane i % kReduceLanes where
// it is above the bound; lanes fold as the fixed tree, pieces of a strip add in order, then strips.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "layer_fast/portable.hpp"
#include "ops/order_search.hpp"

namespace layer_fast::impl {

// Keys (see float_key.hpp) of one layer from `low` to `high`, among which some of its ranks lie.
struct Bracket {
  std::size_t layer;
  std::uint32_t low, high;
  bool counted = false;    // `below` and `inside` are known
  std::int64_t below = 0;  // values of the layer below `low`
  std::int64_t inside = 0;
  std::vector<std::size_t> searches = {};  // whose ranks lie here, by their place in the layer
  std::vector<std::int64_t> bins = {};     // after count_sweep: how many per bin of keys ...
  int shift = 0;                     // ... (key - low) >> shift
  std::vector<std::uint32_t> keys = {};    // after collect_sweep: all inside, in no order
  std::int64_t bin_low(std::size_t bin) const { return low + (static_cast<std::int64_t>(bin) << shift); }
};

// Sums per layer of what is above bounds[l], where wanted[l].
struct AboveSums {
  std::vector<float> bounds;
  std::vector<char> wanted;
  std::vector<double> sums;
  std::vector<std::int64_t> counts;
};

// Values spread evenly over all, with their labels.
struct Sample {
  std::vector<float> values;
  std::vector<std::uint8_t> labels;
};

inline constexpr std::int64_t kOrderPiece = 4096;  // voxels

// The strips of a sweep: at most 256, so that what is kept for each stays small; whole pieces.
struct Strips {
  explicit Strips(std::int64_t total)
      : voxels(total),
        size(std::max<std::int64_t>(64, (total / kOrderPiece + 255) / 256) * kOrderPiece),
        count((total + size - 1) / size) {}
  std::int64_t voxels, size, count;
};

// Where value i of a sample of `stride` voxels each is taken. Shaken: an even stride would meet the same columns of every
// row.
LF_HD inline std::int64_t sample_place(std::int64_t i, std::int64_t stride) {
  const std::uint64_t noise = (static_cast<std::uint64_t>(i) + 1) * 0x9e3779b97f4a7c15u >> 33;
  return i * stride + static_cast<std::int64_t>(noise % static_cast<std::uint64_t>(stride));
}

// The bins of brackets [first, last): how many each has. Sets their shifts.
std::uint32_t plan_bins(std::vector<Bracket>& brackets, std::size_t first, std::size_t last);

// The first of brackets [first, last), which stand in the order of their layers, of every layer and of the one after the
// last.
std::vector<std::size_t> first_of_layers(const std::vector<Bracket>& brackets, std::size_t first, std::size_t last,
                                         std::size_t layers);

class OrderSweeps {
 public:
  virtual ~OrderSweeps() = default;
  virtual std::int64_t voxels() const = 0;
  // About `wanted` values.
  virtual Sample sample(std::int64_t wanted) = 0;
  // Counts below and inside brackets [first, last), which stand in the order of their layers.
  virtual void count(std::size_t layers, std::vector<Bracket>& brackets, std::size_t first, std::size_t last) = 0;
  // Collects the keys inside all brackets, and sums.
  virtual void collect(std::vector<Bracket>& brackets, AboveSums& above) = 0;
};

// ---- CPU ----

// Values with a label each, read piece by piece; several workers at once.
struct LabelledValues {
  struct Piece {
    const float* values;
    const std::uint8_t* labels;
  };
  static constexpr std::int64_t kMost = kOrderPiece;  // voxels in a piece
  std::int64_t voxels;
  int workers;
  std::function<Piece(std::int64_t start, std::int64_t n, int worker)> read;
};

class CpuSweeps : public OrderSweeps {
 public:
  CpuSweeps(const LabelledValues& source, int threads) : source_(source), threads_(threads) {}
  std::int64_t voxels() const override { return source_.voxels; }
  Sample sample(std::int64_t wanted) override;
  void count(std::size_t layers, std::vector<Bracket>& brackets, std::size_t first, std::size_t last) override;
  void collect(std::vector<Bracket>& brackets, AboveSums& above) override;

 private:
  const LabelledValues& source_;
  int threads_;
};

}  // namespace layer_fast::impl
