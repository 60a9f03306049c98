// The inner loop of normalize.
#pragma once

#include <cstdint>

#include "kernels/isa_table.hpp"

namespace layer_fast::kernels {

// A line in float32: (in * factor - shift) + (in * rest - rest_shift), where the first bracket is exact for bytes.
struct ByteLine {
  float factor, shift, rest, rest_shift;
};

// out = (in - shift) * factor, clipped to [0, 1] if `clip`.
struct Line {
  double shift, factor;
  bool clip;
  bool bytes_alike = false;  // `bytes` gives the same bytes out for every byte
  ByteLine bytes = {};
};

struct Lines {
  // `past_caches`: written without being read first, for a result that no cache will hold. `in` may be `out` (float32).
  using Run = void (*)(const void* in, std::int64_t n, const Line& line, float* out, bool past_caches);
  Run u8, i16, u16, f32;
  // Fills in `bytes`, which is twice as fast, and compares it for all 256 bytes: about one line in 200 differs in
  // one of them, by a tie in the last place.
  void (*split)(Line& line);
};

LF_KERNEL_TABLE(Lines, lines)

}  // namespace layer_fast::kernels
