#pragma once

#include "layer_fast/intensity_stats.hpp"

namespace layer_fast::impl {

IntensityStats intensity_stats_cpu(const ArrayView& volume, Within within, const ArrayView& mask,
                                   const std::vector<double>& percentiles, const ArrayView& histogram, bool only_ranks,
                                   int threads);
IntensityStats intensity_stats_cuda(const ArrayView& volume, Within within, const ArrayView& mask,
                                    const std::vector<double>& percentiles, const ArrayView& histogram, bool only_ranks,
                                   std::uintptr_t stream);

// The two halves of the CPU twin: exact counting for integers, tiles for float32.
IntensityStats integer_stats_cpu(const ArrayView& volume, Within within, const std::uint8_t* mask,
                                 const std::vector<double>& percentiles, std::int64_t* histogram, bool only_ranks,
                                 int threads);
IntensityStats float_stats_cpu(const ArrayView& volume, Within within, const std::uint8_t* mask,
                               const std::vector<double>& percentiles, bool only_ranks, int threads);

}  // namespace layer_fast::impl
