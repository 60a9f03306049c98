// Axis taps on the device. Only .cu files include this.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "ops/axis_taps.hpp"
#include "runtime/cuda/cuda_queue.hpp"

namespace layer_fast::impl {

// AxisTaps as a kernel's argument.
struct TapsView {
  int width;
  const std::int32_t* index;
  const float* weight;
  LF_HD const std::int32_t* indices(std::int64_t out) const { return index + out * width; }
  LF_HD const float* weights(std::int64_t out) const { return weight + out * width; }
};

// The taps of three axes, in one upload.
class TapsOnDevice {
 public:
  TapsOnDevice(cuda::Queue& queue, const AxisTaps& taps_z, const AxisTaps& taps_y, const AxisTaps& taps_x) {
    std::vector<std::int32_t> all;
    const AxisTaps* const sources[] = {&taps_z, &taps_y, &taps_x};
    for (const AxisTaps* taps : sources) {
      all.insert(all.end(), taps->index.begin(), taps->index.end());
      for (const float weight : taps->weight) all.push_back(std::bit_cast<std::int32_t>(weight));
    }
    memory_ = queue.upload(all);
    const std::int32_t* at = memory_.data();
    TapsView* const views[] = {&z, &y, &x};
    for (int a = 0; a < 3; ++a) {
      const std::size_t count = sources[a]->index.size();
      *views[a] = {sources[a]->width, at, reinterpret_cast<const float*>(at + count)};
      at += 2 * count;
    }
  }
  TapsView z{}, y{}, x{};

 private:
  cuda::Scratch<std::int32_t> memory_;
};

}  // namespace layer_fast::impl
