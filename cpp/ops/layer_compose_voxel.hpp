// One voxel of layer_compose. Both twins include this.
#pragma once

#include <cstdint>

#include "layer_fast/portable.hpp"

namespace layer_fast {

// Coalitions and labels of at most this many layers, background included, meet as bits of one word.
inline constexpr int kBitRows = 32;

LF_HD inline std::uint32_t label_bit(std::uint8_t label) { return 1u << label; }

// kept: bit l is set where layer l keeps its own content.
LF_HD inline float compose_voxel(std::uint32_t own, std::uint32_t kept, float image, float fill) {
  return (own & kept) != 0 ? image : fill;
}

}  // namespace layer_fast
