// Moments, percentiles and histogram of one volume.
#pragma once

#include <cstdint>
#include <vector>

#include "layer_fast/array.hpp"

namespace layer_fast {

enum class Within { all, nonzero, mask };  // which voxels count; NaN and Inf never do

struct IntensityStats {
  std::int64_t count = 0, nonfinite = 0;  // voxels used; voxels chosen by `within` but NaN or Inf
  double sum = 0, min = 0, max = 0, mean = 0, std = 0;  // NaN (sum: 0) where count is 0
  std::vector<double> percentiles;
};

// volume: u8, i16, u16 or f32, any shape. mask: uint8 of the same shape (0 leaves out), looked at for Within::mask.
// histogram: int64 (256) for u8, (65536) for i16 (first: -32768) and u16; an empty view where none is wanted and no
// percentiles are, which is faster; not looked at for f32; in the memory of the CPU wherever the volume is. only_ranks:
// what is neither a count nor a percentile may be left out (NaN, a sum of 0, a histogram not filled), which is faster.
IntensityStats intensity_stats(const ArrayView& volume, Within within, const ArrayView& mask,
                               const std::vector<double>& percentiles, const ArrayView& histogram, bool only_ranks,
                               Place place);

}  // namespace layer_fast
