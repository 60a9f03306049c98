// CUDA: intensity_stats. Integers are counted, which says all, exactly. float32: moments tile by tile in the CPU's order,
// which reads the volume twice (deviations are taken from each tile's own mean), merged on the host; percentiles by the
// search of order_search.cpp, a few more reads. only_ranks saves nothing here: the moments are found anyway.
#include <algorithm>

#include "layer_fast/error.hpp"
#include "ops/intensity_cuda.hpp"
#include "ops/intensity_describe.hpp"
#include "ops/intensity_stats_impl.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "intensity_stats";

// `histogram`, where one is wanted, is the host's, as all that follows from it is.
IntensityStats integer_stats(cuda::Queue& queue, const ArrayView& volume, Within within, const std::uint8_t* mask,
                             const std::vector<double>& percentiles, const ArrayView& histogram) {
  const std::int64_t size = volume.dtype == Dtype::u8 ? 256 : 65536, first = volume.dtype == Dtype::i16 ? -32768 : 0;
  const auto bins = queue.zeros<std::int64_t>(size);
  count_intensities(queue, volume, mask, bins.data());
  if (within == Within::nonzero) queue.set_zero(bins.data() - first, 1);
  const std::vector<std::int64_t> counts = queue.read(bins.data(), size);
  if (histogram.axes > 0) std::copy(counts.begin(), counts.end(), histogram.out<std::int64_t>(kOp));
  return describe_histogram(counts.data(), size, first, percentiles);
}

IntensityStats float_stats(cuda::Queue& queue, const ChosenVoxels& chosen, const std::vector<double>& percentiles) {
  Moments whole = empty_moments();
  std::int64_t nonfinite = 0;
  for (const TilePart& part : tile_moments(queue, chosen)) {
    merge_moments(whole, part.moments);
    nonfinite += part.nonfinite;
  }
  IntensityStats out = describe_moments(whole, true);
  out.nonfinite = nonfinite;
  out.percentiles.assign(percentiles.size(), std::numeric_limits<double>::quiet_NaN());
  if (whole.count > 0 && !percentiles.empty()) out.percentiles = float_percentiles(queue, chosen, whole, percentiles);
  return out;
}

}  // namespace

IntensityStats intensity_stats_cuda(const ArrayView& volume, Within within, const ArrayView& mask,
                                    const std::vector<double>& percentiles, const ArrayView& histogram, bool,
                                    std::uintptr_t stream) {
  cuda::Queue queue(kOp, volume, stream);
  const std::uint8_t* chosen = within == Within::mask ? mask.in<std::uint8_t>(kOp) : nullptr;
  if (volume.dtype != Dtype::f32) return integer_stats(queue, volume, within, chosen, percentiles, histogram);
  return float_stats(queue, {volume.in<float>(kOp), chosen, within == Within::nonzero, volume.size()}, percentiles);
}

}  // namespace layer_fast::impl
