// One voxel of normalize. Both twins include this.
#pragma once

#include "layer_fast/portable.hpp"

namespace layer_fast {

// factor = 1 / scale. The comparisons are written so that NaN passes through the clip.
LF_HD inline float normalize_voxel(double value, double shift, double factor, bool clip) {
  double scaled = (value - shift) * factor;
  if (clip) {
    scaled = scaled < 0.0 ? 0.0 : scaled;
    scaled = scaled > 1.0 ? 1.0 : scaled;
  }
  return static_cast<float>(scaled);
}

}  // namespace layer_fast
