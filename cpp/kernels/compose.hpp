// The inner loops of layer_compose.
#pragma once

#include <cstdint>

#include "kernels/isa_table.hpp"

namespace layer_fast::kernels {

struct Compose {
  // bits[i] = label_bit(labels[i])
  void (*bits_of)(const std::uint8_t* labels, std::int64_t n, std::uint32_t* bits);
  // out[i] = compose_voxel(own[i], kept, image[i], fill[i]); `past_caches`: written without being read first, for a
  // result that no cache will hold.
  void (*compose)(const std::uint32_t* own, std::uint32_t kept, const float* image, const float* fill, std::int64_t n,
                  float* out, bool past_caches);
};

LF_KERNEL_TABLE(Compose, compose)

}  // namespace layer_fast::kernels
