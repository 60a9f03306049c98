// The running argmax of one voxel; both twins include it.
#pragma once

#include <cstdint>

#include "layer_fast/portable.hpp"

namespace layer_fast::voxel {

// Classes come in rising order and only a larger logit takes over: ties stay with the lowest class.
LF_HD inline void take_larger(float logit, std::int32_t klass, float& best, std::int32_t& label) {
  const bool larger = logit > best;
  best = larger ? logit : best;
  label = larger ? klass : label;
}

}  // namespace layer_fast::voxel
