// CUDA, host side: OrderSweeps over voxels that lie on a device. A sweep uploads what is asked and waits for the answer.
#pragma once

#include <algorithm>

#include "ops/order_sweep_cuda.hpp"

namespace layer_fast::impl {

// What all sweeps take along.
struct DeviceBrackets {
  DeviceBrackets(cuda::Queue& queue, const std::vector<Bracket>& all, std::size_t first, std::size_t last,
                 std::size_t layers) {
    std::vector<DeviceBracket> host;
    for (std::size_t b = first; b < last; ++b) {
      host.push_back({float_of_key(all[b].low), float_of_key(all[b].high), all[b].low, all[b].shift});
    }
    std::vector<int> from;
    for (const std::size_t b : first_of_layers(all, first, last, layers)) from.push_back(static_cast<int>(b - first));
    brackets = queue.upload(host);
    starts = queue.upload(from);
  }
  cuda::Scratch<DeviceBracket> brackets;
  cuda::Scratch<int> starts;
};

template <class Voxels>
class DeviceSweeps : public OrderSweeps {
 public:
  DeviceSweeps(cuda::Queue& queue, const Voxels& voxels) : queue_(queue), voxels_(voxels) {}

  std::int64_t voxels() const override { return voxels_.count; }

  Sample sample(std::int64_t wanted) override {
    const std::int64_t number = std::min(wanted, voxels_.count);
    const auto values = queue_.template scratch<float>(number);
    const auto labels = queue_.template scratch<std::uint8_t>(number);
    queue_.run(sample_voxels<Voxels>, dim3(cuda::blocks_for(number, kSweepThreads)), dim3(kSweepThreads), 0, voxels_,
               number, voxels_.count / number, values.data(), labels.data());
    return {queue_.read(values.data(), number), queue_.read(labels.data(), number)};
  }

  void count(std::size_t layers, std::vector<Bracket>& brackets, std::size_t first, std::size_t last) override {
    const std::size_t number = last - first;
    const std::uint32_t per = plan_bins(brackets, first, last);
    const DeviceBrackets given(queue_, brackets, first, last, layers);
    const auto below = queue_.template zeros<unsigned long long>(size(number));
    const auto bins = queue_.template zeros<unsigned>(size(number * per));
    queue_.run(count_voxels<Voxels>, sweep_grid(), dim3(kSweepThreads), 0, voxels_, given.brackets.data(),
               given.starts.data(), static_cast<int>(layers), static_cast<int>(per), below.data(), bins.data());
    const auto found_below = queue_.read(below.data(), size(number));
    const auto found = queue_.read(bins.data(), size(number * per));
    for (std::size_t b = 0; b < number; ++b) {
      Bracket& bracket = brackets[first + b];
      if (!bracket.counted) bracket.below += static_cast<std::int64_t>(found_below[b]);
      bracket.bins.assign(&found[b * per], &found[b * per] + per);
      bracket.inside = 0;
      for (const std::int64_t n : bracket.bins) bracket.inside += n;
      bracket.counted = true;
    }
  }

  void collect(std::vector<Bracket>& brackets, AboveSums& above) override {
    collect_keys(brackets, above.bounds.size());
    above.sums.assign(above.bounds.size(), 0.0);
    above.counts.assign(above.bounds.size(), 0);
    if (std::find(above.wanted.begin(), above.wanted.end(), 1) != above.wanted.end()) sum_above(above);
  }

 private:
  static std::int64_t size(std::size_t n) { return static_cast<std::int64_t>(n); }
  dim3 sweep_grid() const { return dim3(cuda::blocks_for(voxels_.count, kSweepVoxels)); }

  void collect_keys(std::vector<Bracket>& brackets, std::size_t layers) {
    std::int64_t room = 0;
    for (const Bracket& bracket : brackets) room += bracket.inside;
    if (room == 0) return;
    const DeviceBrackets given(queue_, brackets, 0, brackets.size(), layers);
    const auto found = queue_.template zeros<int>(1);
    const auto keys = queue_.template zeros<std::uint32_t>(room);
    const auto owners = queue_.template zeros<int>(room);
    queue_.run(collect_voxels<Voxels>, sweep_grid(), dim3(kSweepThreads), 0, voxels_, given.brackets.data(),
               given.starts.data(), static_cast<int>(layers), static_cast<int>(room), found.data(), keys.data(),
               owners.data());
    const auto all = queue_.read(keys.data(), room);
    const auto whose = queue_.read(owners.data(), room);
    for (std::size_t i = 0; i < all.size(); ++i) brackets[static_cast<std::size_t>(whose[i])].keys.push_back(all[i]);
  }

  // Pieces add to their strip in order, strips to the layer.
  void sum_above(AboveSums& above) {
    const std::size_t layers = above.bounds.size();
    const Strips strips(voxels_.count);
    const std::int64_t pieces = (voxels_.count + kOrderPiece - 1) / kOrderPiece, cells = strips.count * size(layers);
    const auto bounds = queue_.upload(above.bounds);
    const auto wanted = queue_.upload(above.wanted);
    const auto sums = queue_.template zeros<double>(pieces * size(layers));
    const auto counts = queue_.template zeros<std::int64_t>(pieces * size(layers));
    const auto strip_sums = queue_.template scratch<double>(cells);
    const auto strip_counts = queue_.template scratch<std::int64_t>(cells);
    queue_.run(sum_pieces<Voxels>, dim3(static_cast<unsigned>(pieces)), dim3(kSweepThreads), 0, voxels_, bounds.data(),
               wanted.data(), static_cast<int>(layers), sums.data(), counts.data());
    queue_.run(sum_strips, dim3(cuda::blocks_for(cells, kSweepThreads)), dim3(kSweepThreads), 0, sums.data(),
               counts.data(), pieces, strips.size / kOrderPiece, strips.count, static_cast<int>(layers), strip_sums.data(),
               strip_counts.data());
    const auto found = queue_.read(strip_sums.data(), cells);
    const auto number = queue_.read(strip_counts.data(), cells);
    for (std::size_t i = 0; i < found.size(); ++i) {
      above.sums[i % layers] += found[i];
      above.counts[i % layers] += number[i];
    }
  }

  cuda::Queue& queue_;
  Voxels voxels_;
};

}  // namespace layer_fast::impl
