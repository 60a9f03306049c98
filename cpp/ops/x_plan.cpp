#include "ops/x_plan.hpp"

#include <algorithm>

namespace layer_fast::impl {

using kernels::XReach;

XPass::XPass(const AxisTaps& taps) : rows_(kernels::resample_rows()) {
  const int lanes = rows_.lanes;
  plan_.width = taps.width;
  plan_.n = taps.size();
  plan_.groups = (plan_.n + lanes - 1) / lanes;
  const std::int64_t stride = plan_.groups * lanes;
  const auto count = static_cast<std::size_t>(stride * plan_.width);
  weight_.assign(count, 0.0f);
  index_.resize(count);
  for (int t = 0; t < taps.width; ++t) {
    for (std::int64_t x = 0; x < stride; ++x) {
      const auto to = static_cast<std::size_t>(t * stride + x);
      index_[to] = taps.indices(std::min(x, plan_.n - 1))[t];
      if (x < plan_.n) weight_[to] = taps.weights(x)[t];
    }
  }
  if (lanes > 1 && !(rows_.halves && find_halves(lanes))) find_windows(lanes);
  plan_.weight = weight_.data();
  plan_.index = index_.data();
  plan_.base = base_.data();
  plan_.lane = lane_.data();
}

// Whether all taps of half a group lie close together.
bool XPass::find_halves(int lanes) {
  const std::int64_t half = lanes / 2, stride = plan_.groups * lanes;
  std::int32_t most = 0;
  for (std::int64_t x = 0; x < stride; x += half) {
    std::int32_t low = index_[static_cast<std::size_t>(x)], high = low;
    for (int t = 0; t < plan_.width; ++t) {
      const auto part = index_.begin() + t * stride + x;
      const auto [first, last] = std::minmax_element(part, part + half);
      low = std::min(low, *first);
      high = std::max(high, *last);
    }
    most = std::max(most, high - low);
    base_.push_back(low);
  }
  if (most >= 8) {
    base_.clear();
    return false;
  }
  plan_.reach = most < 4 ? XReach::four : XReach::eight;
  lane_.resize(index_.size());
  for (std::size_t i = 0; i < index_.size(); ++i) {  // the taps share the bases
    const std::int64_t part = static_cast<std::int64_t>(i) % stride / half;
    lane_[i] = kernels::lane_of_half(index_[i] - base_[static_cast<std::size_t>(part)]);
  }
  return true;
}

void XPass::find_windows(int lanes) {
  const std::int64_t half = lanes / 2;
  bool one = true, two = true;  // one window to a group is enough; one to each half group
  for (auto group = index_.begin(); group != index_.end(); group += lanes) {
    const auto [low, high] = std::minmax_element(group, group + lanes);
    one = one && *high - *low < lanes;
    for (auto part = group; part != group + lanes; part += half) {
      const auto [first, last] = std::minmax_element(part, part + half);
      two = two && *last - *first < lanes;
      base_.push_back(*first);
    }
  }
  if (!two) return;
  plan_.reach = one ? XReach::window : XReach::windows;
  for (std::size_t b = 0; one && b < base_.size(); b += 2) base_[b] = base_[b + 1] = std::min(base_[b], base_[b + 1]);
  lane_.resize(index_.size());
  for (std::size_t i = 0; i < index_.size(); ++i) lane_[i] = index_[i] - base_[i / static_cast<std::size_t>(half)];
}

BytePick::BytePick(const AxisTaps& taps, std::int64_t n_in) : rows_(kernels::resample_rows()), near_(n_in >= 16) {
  plan_.n = taps.size();
  plan_.n_in = n_in;
  for (std::int64_t x0 = 0; x0 < plan_.n; x0 += 8) {
    const auto first = taps.index.begin() + x0, last = taps.index.begin() + std::min(x0 + 8, plan_.n);
    const auto [low, high] = std::minmax_element(first, last);
    base_.push_back(std::min(*low, static_cast<std::int32_t>(std::max<std::int64_t>(n_in - 16, 0))));
    near_ = near_ && *high - base_.back() < 16;
    for (auto index = first; index != last; ++index) lane_.push_back(static_cast<std::uint8_t>(*index - base_.back()));
  }
  lane_.resize(lane_.size() + 8);
  plan_.base = base_.data();
  plan_.lane = lane_.data();
}

}  // namespace layer_fast::impl
