// CPU: order statistics of the chosen float32 values of a volume, found while something else sweeps over them. A sample
// says in which intervals the ranks lie; the sweep counts what is below and keeps the few values inside. The values at
// the ranks are exact or not given, so nothing depends on the sample or on threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/float_stats.hpp"

namespace layer_fast::impl {

// Finite values of a volume: all, those that are not 0, or those where a mask is not 0.
struct ChosenFloats {
  const float* values;
  const std::uint8_t* mask;
  bool nonzero;
  std::int64_t voxels;
};

class FloatRanks {
 public:
  static constexpr std::int64_t kPiece = kernels::kMostPlaced;  // voxels that are looked at together

  // Takes the sample. fractions in [0, 1]; workers: as in the sweep to come.
  FloatRanks(const ChosenFloats& source, const std::vector<double>& fractions, int workers);

  // False: too many values lie around the ranks to keep them, and there is nothing to sweep for.
  bool promising() const { return !intervals_.empty(); }

  // Looks at n voxels from `start` on; all_used: every one of them is known to count. Every voxel once.
  kernels::Chosen look(std::int64_t start, std::int64_t n, bool all_used, int worker);

  // After the sweep: two values a fraction, those at its quantile_ranks among `count`. None where the sample misled.
  std::optional<std::vector<float>> found(std::int64_t count);

 private:
  struct Interval {
    float low, high;
    bool keep;  // its values; else it is a single value
    std::int64_t below = 0, inside = 0;
    float *first = nullptr, *last = nullptr;  // its values among kept_, after the sweep
  };
  struct Worker {
    std::vector<kernels::Place> places;
    std::unique_ptr<float[]> scratch, kept;
    std::int64_t kept_count = 0;
    bool full = false;
  };

  std::vector<float> take_sample() const;
  void plan(std::vector<float>& sample);
  std::int64_t plan_between(const float* first, const float* last, float low, float high);
  bool gather();
  Interval* holding(std::int64_t rank);

  ChosenFloats source_;
  std::vector<double> fractions_;
  std::vector<Interval> intervals_;  // rising
  std::vector<Worker> workers_;
  std::vector<float> kept_;
};

}  // namespace layer_fast::impl
