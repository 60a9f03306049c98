// The inner loop of normalize.
#pragma once

#include <cstdint>

#include "kernels/isa_table.hpp"

namespace layer_fast::kernels {

// out = (in - shift) * factor, clipped to [0, 1] if `clip`.
struct Line {
  double shift, factor;
  bool clip;
};

struct Lines {
  // `past_caches`: written without being read first, for a result that no cache will hold. `in` may be `out` (float32).
  using Run = void (*)(const void* in, std::int64_t n, const Line& line, float* out, bool past_caches);
  Run u8, i16, u16, f32;
};

LF_KERNEL_TABLE(Lines, lines)

}  // namespace layer_fast::kernels
