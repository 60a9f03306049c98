// CPU: order statistics of bytes by counting around them only, which takes a fraction of the time of a histogram.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace layer_fast::impl {

struct ByteRanks {
  std::int64_t count;                // all voxels, or those that are not 0
  std::vector<std::uint8_t> values;  // two a fraction: at its quantile_ranks among `count`; none where count is 0
};

// fractions in [0, 1]. Exact, or nothing: where the volume is small, or a sample says that too many values would have
// to be counted, or the sample misled.
std::optional<ByteRanks> find_byte_ranks(const std::uint8_t* volume, std::int64_t voxels, bool nonzero,
                                         const std::vector<double>& fractions, int threads);

}  // namespace layer_fast::impl
