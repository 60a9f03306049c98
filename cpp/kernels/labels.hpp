// The inner loops that look at labels only.
#pragma once

#include <cstdint>

#include "kernels/isa_table.hpp"

namespace layer_fast::kernels {

struct Labels {
  // The largest of `count` labels; 0 for none.
  std::uint8_t (*highest)(const std::uint8_t* labels, std::int64_t count);
  // How many labels from the first of `count` > 0 on are the same.
  std::int64_t (*same)(const std::uint8_t* labels, std::int64_t count);
};

LF_KERNEL_TABLE(Labels, labels)

}  // namespace layer_fast::kernels
