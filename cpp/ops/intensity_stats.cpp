#include "layer_fast/intensity_stats.hpp"

#include <algorithm>

#include "layer_fast/error.hpp"
#include "ops/intensity_stats_impl.hpp"

namespace layer_fast {

IntensityStats intensity_stats(const ArrayView& volume, Within within, const ArrayView& mask,
                               const std::vector<double>& percentiles, const ArrayView& histogram, bool only_ranks,
                               Place place) {
  constexpr const char* kOp = "intensity_stats";
  for (const double p : percentiles) expects(p >= 0 && p <= 100, kOp, "percentiles in [0, 100]", std::to_string(p));
  if (within == Within::mask) {
    expects(mask.device == volume.device, kOp, "volume and mask on one device", "two");
    expects(mask.axes == volume.axes && mask.shape == volume.shape, kOp, "a mask of shape " + volume.shape_text(),
            mask.shape_text());
  }
  if (volume.dtype != Dtype::f32 && (histogram.axes > 0 || !percentiles.empty())) {
    const std::int64_t bins = volume.dtype == Dtype::u8 ? 256 : 65536;
    expects(histogram.has_shape({bins}), kOp, "a histogram of " + std::to_string(bins), histogram.shape_text());
    expects(histogram.device == Device::cpu, kOp, "a histogram in the memory of the CPU", "one on a CUDA device");
  }
  switch (volume.device) {
    case Device::cpu:
      return impl::intensity_stats_cpu(volume, within, mask, percentiles, histogram, only_ranks, place.threads);
    case Device::cuda:
      return impl::intensity_stats_cuda(volume, within, mask, percentiles, histogram, only_ranks, place.stream);
  }
  refuse(kOp, "a known device", "another");
}

}  // namespace layer_fast
