// Device: the sums of one tile per layer and lane (layer_reduce_accum.hpp says what is added where). Sixteen threads are
// the lanes of a tile; each adds its voxels in order, so every sum has the CPU's bits. The layer that a lane is in stays
// in registers until the label changes; the others wait in shared memory, in places of the lane's own: no atomics.
#pragma once

#include "ops/layer_readers_cuda.hpp"

namespace layer_fast::impl {

inline constexpr unsigned kWarp = 0xffffffffu;
inline constexpr int kHalves = 2;  // of a warp: each has a tile
inline constexpr int kNoLabel = 256;

// What a lane has seen, beside its sums.
struct LaneRange {
  float low = __builtin_inff(), high = -__builtin_inff();
  std::uint32_t count = 0, holes = 0;
  __device__ void add(float value) {
    low = value < low ? value : low;
    high = value > high ? value : high;
    ++count;
  }
};

// fold_lanes, across threads; the result is lane 0's. All lanes of a warp together.
__device__ inline double folded(double lane) {
  for (int width = kReduceLanes / 2; width > 0; width /= 2) lane += __shfl_down_sync(kWarp, lane, width, kReduceLanes);
  return lane;
}

// The same for ranges: lane 0's part gets what all lanes have seen.
__device__ inline void fold_range(LaneRange own, LayerPartial& part) {
  for (int width = kReduceLanes / 2; width > 0; width /= 2) {
    own.count += __shfl_down_sync(kWarp, own.count, width, kReduceLanes);
    own.holes += __shfl_down_sync(kWarp, own.holes, width, kReduceLanes);
    const float low = __shfl_down_sync(kWarp, own.low, width, kReduceLanes);
    const float high = __shfl_down_sync(kWarp, own.high, width, kReduceLanes);
    own.low = low < own.low ? low : own.low;
    own.high = high > own.high ? high : own.high;
  }
  part.count = own.count;
  part.nonfinite = own.holes;
  part.min = own.low;
  part.max = own.high;
}

// What waits in shared memory. counts: voxels counted in the lower half, holes in the upper; at most 1024 each.
template <int kRows>
struct WaitingSums {
  double plain[3][kRows][kReduceLanes], mixed[3][kRows][kReduceLanes];  // positive part, negative part, square
  float low[kRows][kReduceLanes], high[kRows][kReduceLanes];
  std::uint32_t counts[kRows][kReduceLanes];
};

// One chunk, where its groups have to be looked at one by one.
struct StagedChunk {
  float values[kSteps][kReduceLanes];
  alignas(16) std::uint8_t labels[kSteps][kReduceLanes];
};

struct alignas(16) GroupLabels {
  std::uint32_t words[4];
  __device__ bool all(std::uint32_t label) const {
    const std::uint32_t pattern = label * 0x01010101u;
    return words[0] == pattern && words[1] == pattern && words[2] == pattern && words[3] == pattern;
  }
};

// The layer that a lane is in.
struct OpenLayer {
  int row = -1;
  double pos = 0.0, neg = 0.0, sq = 0.0;
  float low = __builtin_inff(), high = -__builtin_inff();
  std::uint32_t count = 0;
  // A finite value. Each is in one part only: adding 0 to the other would change no bit. The square is exact.
  __device__ void add(float value) {
    const double wide = value;
    if (value > 0.0f) {
      pos += wide;
    } else {
      neg += wide;
    }
    sq = fma(wide, wide, sq);
    low = value < low ? value : low;
    high = value > high ? value : high;
  }
};

template <int kRows>
class LayerLanes {
 public:
  // Rows [first_row, first_row + kRows) of `rows`.
  __device__ LayerLanes(WaitingSums<kRows>& waiting, StagedChunk& staged, int first_row, int rows, int lane)
      : waiting_(waiting), staged_(staged), first_row_(first_row), rows_(rows), lane_(lane) {
    for (int row = 0; row < kRows; ++row) {
      for (int s = 0; s < 3; ++s) waiting.plain[s][row][lane] = waiting.mixed[s][row][lane] = 0.0;
      waiting.low[row][lane] = __builtin_inff();
      waiting.high[row][lane] = -__builtin_inff();
      waiting.counts[row][lane] = 0;
    }
  }

  // values: this lane's, one a group. labels: those of group `lane`. left: voxels of the tile from this chunk on. All
  // lanes of a warp together.
  __device__ void add(const float* values, const GroupLabels& labels, int left) {
    const std::uint32_t label = __shfl_sync(kWarp, labels.words[0] & 0xffu, 0, kReduceLanes);
    bool run = left >= kChunk && labels.all(label);
#pragma unroll
    for (int g = 0; g < kSteps; ++g) run = run && is_finite(values[g]);
    if (__all_sync(kWarp, run || left <= 0)) {
      if (left > 0) add_run(values, static_cast<int>(label));
    } else {
      add_groups(values, labels, left);
    }
  }

  // Writes what layer `row` of the pass has got; all lanes of a warp together. True in the lane that has the result.
  __device__ bool close(int row, LayerPartial& part) {
    part = empty_partial();
    part.pos = folded(waiting_.plain[0][row][lane_] + waiting_.mixed[0][row][lane_]);
    part.neg = folded(waiting_.plain[1][row][lane_] + waiting_.mixed[1][row][lane_]);
    part.sq = folded(waiting_.plain[2][row][lane_] + waiting_.mixed[2][row][lane_]);
    const std::uint32_t counts = waiting_.counts[row][lane_];
    fold_range({waiting_.low[row][lane_], waiting_.high[row][lane_], counts & 0xffffu, counts >> 16}, part);
    part.weight = static_cast<double>(part.count);
    return lane_ == 0;
  }

  __device__ void put_back() {
    if (open_.row < 0) return;
    waiting_.plain[0][open_.row][lane_] = open_.pos;
    waiting_.plain[1][open_.row][lane_] = open_.neg;
    waiting_.plain[2][open_.row][lane_] = open_.sq;
    widen(open_.row, open_.low, open_.high);
    waiting_.counts[open_.row][lane_] += open_.count;
  }

  // The highest label that has no row, else 0.
  __device__ int beyond() const { return beyond_; }

 private:
  __device__ int row_of(int label) {
    if (label >= rows_ && label < kNoLabel && label > beyond_) beyond_ = label;
    const int row = label - first_row_;
    return row >= 0 && row < kRows && label < rows_ ? row : -1;
  }

  __device__ void widen(int row, float low, float high) {
    if (low < waiting_.low[row][lane_]) waiting_.low[row][lane_] = low;
    if (high > waiting_.high[row][lane_]) waiting_.high[row][lane_] = high;
  }

  __device__ void change_to(int row) {
    if (row == open_.row) return;
    put_back();
    open_ = OpenLayer{row, waiting_.plain[0][row][lane_], waiting_.plain[1][row][lane_], waiting_.plain[2][row][lane_]};
  }

  // A whole chunk of one label, without holes: all groups are plain.
  __device__ void add_run(const float* values, int label) {
    const int row = row_of(label);
    if (row < 0) return;
    change_to(row);
#pragma unroll
    for (int g = 0; g < kSteps; ++g) open_.add(values[g]);
    open_.count += kSteps;
  }

  __device__ void add_groups(const float* values, const GroupLabels& labels, int left) {
#pragma unroll
    for (int g = 0; g < kSteps; ++g) staged_.values[g][lane_] = values[g];
    *reinterpret_cast<GroupLabels*>(staged_.labels[lane_]) = labels;
    __syncwarp();
    for (int g = 0; g < kSteps; ++g) {
      const bool there = g * kReduceLanes + lane_ < left;
      const int label = there ? staged_.labels[g][lane_] : kNoLabel;
      add_to_group(staged_.values[g][lane_], label);
    }
    __syncwarp();
  }

  __device__ void add_to_group(float value, int label) {
    const int first = __shfl_sync(kWarp, label, 0, kReduceLanes);
    const int last = __shfl_sync(kWarp, label, kReduceLanes - 1, kReduceLanes);
    const bool fits = label != kNoLabel && is_finite(value) && (label == first || label == last);
    const unsigned votes = __ballot_sync(kWarp, fits) >> (threadIdx.x / kReduceLanes * kReduceLanes);
    const int row = row_of(label);
    if (row < 0) return;
    if ((votes & 0xffffu) == 0xffffu) {  // plain
      change_to(row);
      open_.add(value);
      ++open_.count;
    } else {
      add_mixed(value, row);
    }
  }

  __device__ void add_mixed(float value, int row) {
    if (!is_finite(value)) {
      waiting_.counts[row][lane_] += 0x10000u;
      return;
    }
    const double wide = value;
    waiting_.mixed[0][row][lane_] += positive_part(wide);
    waiting_.mixed[1][row][lane_] += negative_part(wide);
    waiting_.mixed[2][row][lane_] = fma(wide, wide, waiting_.mixed[2][row][lane_]);
    widen(row, value, value);
    ++waiting_.counts[row][lane_];
  }

  WaitingSums<kRows>& waiting_;
  StagedChunk& staged_;
  OpenLayer open_;
  int first_row_, rows_, lane_, beyond_ = 0;
};

}  // namespace layer_fast::impl
