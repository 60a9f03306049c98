#include "ops/order_search.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "layer_fast/error.hpp"
#include "ops/float_key.hpp"
#include "ops/layer_reduce_accum.hpp"
#include "ops/order_sweep.hpp"

namespace layer_fast::impl {
namespace {

constexpr std::int64_t kSample = 1 << 16;
constexpr std::int64_t kCollected = 1 << 17;      // keys in memory at once
constexpr std::size_t kBracketsASweep = 1 << 12;  // so that each has 16 bins or more

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// One rank on its way to its key.
struct Search {
  std::int64_t rank;
  std::uint32_t key = 0;
};

// All ranks of one layer, rising; the threshold of its top sum among them.
struct LayerSearch {
  std::vector<Search> searches;
  std::vector<std::uint32_t> sample;  // keys, rising
};

std::vector<LayerSearch> start_searches(const std::vector<LayerOrder>& layers) {
  std::vector<LayerSearch> all(layers.size());
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (layers[l].count == 0) continue;
    std::vector<std::int64_t> ranks = layers[l].ranks;
    if (layers[l].top > 0) ranks.push_back(layers[l].count - layers[l].top);
    std::sort(ranks.begin(), ranks.end());
    ranks.erase(std::unique(ranks.begin(), ranks.end()), ranks.end());
    for (const std::int64_t rank : ranks) all[l].searches.push_back({rank});
  }
  return all;
}

void add_sample(OrderSweeps& sweeps, std::vector<LayerSearch>& all) {
  const Sample sample = sweeps.sample(kSample);
  for (std::size_t i = 0; i < sample.values.size(); ++i) {
    if (sample.labels[i] >= all.size() || !is_finite(sample.values[i])) continue;
    all[sample.labels[i]].sample.push_back(float_key(sample.values[i]));
  }
  for (LayerSearch& layer : all) std::sort(layer.sample.begin(), layer.sample.end());
}

// Where the sample expects a rank: three deviations of its place to either side.
Bracket guess(std::size_t l, const LayerOrder& layer, const LayerSearch& search, std::size_t which) {
  const auto m = static_cast<double>(search.sample.size());
  const double q = (static_cast<double>(search.searches[which].rank) + 0.5) / static_cast<double>(layer.count);
  const double width = 3.0 * std::sqrt(m * q * (1.0 - q)) + 2.0;
  const double from = std::floor(q * m - width), to = std::ceil(q * m + width);
  const std::uint32_t low = from < 0 ? float_key(layer.low) : search.sample[static_cast<std::size_t>(from)];
  const std::uint32_t high = to >= m ? float_key(layer.high) : search.sample[static_cast<std::size_t>(to)];
  return {.layer = l, .low = low, .high = high, .searches = {which}};
}

std::vector<Bracket> first_brackets(const std::vector<LayerOrder>& layers, const std::vector<LayerSearch>& all) {
  std::vector<Bracket> out;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    for (std::size_t which = 0; which < all[l].searches.size(); ++which) {
      const Bracket next = guess(l, layers[l], all[l], which);
      if (!out.empty() && out.back().layer == l && next.low <= out.back().high) {
        out.back().high = std::max(out.back().high, next.high);
        out.back().searches.push_back(which);
      } else {
        out.push_back(next);
      }
    }
  }
  return out;
}

// Few values in all: they are simply collected.
std::vector<Bracket> whole_brackets(const std::vector<LayerOrder>& layers, const std::vector<LayerSearch>& all) {
  std::vector<Bracket> out;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (all[l].searches.empty()) continue;
    out.push_back({.layer = l, .low = float_key(layers[l].low), .high = float_key(layers[l].high), .counted = true,
                   .inside = layers[l].count});
    for (std::size_t which = 0; which < all[l].searches.size(); ++which) out.back().searches.push_back(which);
  }
  return out;
}

// Appends the bracket, or only its search where it is the last one already. Two may begin alike and not be the same: a
// counted one, and one that begins at the layer's minimum because the sample was wrong.
void append(std::vector<Bracket>& out, const Bracket& next) {
  if (out.empty() || out.back().layer != next.layer || out.back().low != next.low || out.back().high != next.high) {
    out.push_back(next);
  } else {
    out.back().searches.push_back(next.searches[0]);
  }
}

// The narrower bracket of one search of a counted one; a single key is an answer.
void narrow(const Bracket& bracket, const LayerOrder& layer, Search& search, std::size_t which, std::vector<Bracket>& out) {
  std::int64_t below = bracket.below;
  if (search.rank < below) {  // the sample was wrong
    return append(out, {.layer = bracket.layer,
                        .low = float_key(layer.low),
                        .high = key_below(bracket.low),
                        .searches = {which}});
  }
  for (std::size_t bin = 0; bin < bracket.bins.size(); ++bin) {
    const std::int64_t inside = bracket.bins[bin];
    if (search.rank >= below + inside) {
      below += inside;
      continue;
    }
    const auto low = static_cast<std::uint32_t>(bracket.bin_low(bin));
    const auto next = static_cast<std::uint32_t>(std::min<std::int64_t>(std::int64_t{bracket.high} + 1, bracket.bin_low(bin + 1)));
    const std::uint32_t high = key_below(next);
    search.key = low;
    if (low == high) return;
    return append(out, {.layer = bracket.layer, .low = low, .high = high, .counted = true, .below = below,
                        .inside = inside, .searches = {which}});
  }
  append(out, {.layer = bracket.layer, .low = bracket.high + 1, .high = float_key(layer.high), .searches = {which}});
}

bool few_enough(const std::vector<Bracket>& brackets) {
  std::int64_t total = 0;
  for (const Bracket& bracket : brackets) total += bracket.counted ? bracket.inside : kCollected + 1;
  return total <= kCollected;
}

std::vector<Bracket> narrow_all(OrderSweeps& sweeps, const std::vector<LayerOrder>& layers,
                                std::vector<Bracket>& brackets, std::vector<LayerSearch>& all) {
  std::vector<Bracket> out;
  for (std::size_t first = 0; first < brackets.size(); first += kBracketsASweep) {
    const std::size_t last = std::min(first + kBracketsASweep, brackets.size());
    sweeps.count(layers.size(), brackets, first, last);
    for (std::size_t b = first; b < last; ++b) {
      const std::size_t l = brackets[b].layer;
      for (const std::size_t which : brackets[b].searches) {
        narrow(brackets[b], layers[l], all[l].searches[which], which, out);
      }
    }
  }
  return out;
}

// The search that ends at the threshold of the top sum.
Search& threshold_of(const LayerOrder& layer, LayerSearch& search) {
  const std::int64_t rank = layer.count - layer.top;
  return *std::find_if(search.searches.begin(), search.searches.end(), [&](const Search& s) { return s.rank == rank; });
}

// Sums above the threshold, or above the bracket that it lies in: what is inside is added later.
AboveSums what_to_sum(const std::vector<LayerOrder>& layers, const std::vector<Bracket>& brackets, std::vector<LayerSearch>& all) {
  AboveSums above{std::vector<float>(layers.size()), std::vector<char>(layers.size()), {}, {}};
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (layers[l].count == 0 || layers[l].top == 0) continue;
    above.wanted[l] = 1;
    above.bounds[l] = float_of_key(threshold_of(layers[l], all[l]).key);
  }
  for (const Bracket& bracket : brackets) {
    if (above.wanted[bracket.layer] == 0) continue;
    const std::int64_t rank = layers[bracket.layer].count - layers[bracket.layer].top;
    for (const std::size_t which : bracket.searches) {
      if (all[bracket.layer].searches[which].rank == rank) above.bounds[bracket.layer] = float_of_key(bracket.high);
    }
  }
  return above;
}

void finish(OrderSweeps& sweeps, std::vector<LayerOrder>& layers, std::vector<Bracket>& brackets,
            std::vector<LayerSearch>& all) {
  AboveSums above = what_to_sum(layers, brackets, all);
  const bool sums = std::find(above.wanted.begin(), above.wanted.end(), 1) != above.wanted.end();
  if (brackets.empty() && !sums) return;
  sweeps.collect(brackets, above);
  for (Bracket& bracket : brackets) {
    const LayerOrder& layer = layers[bracket.layer];
    std::vector<std::uint32_t>& keys = bracket.keys;
    std::sort(keys.begin(), keys.end());
    for (const std::size_t which : bracket.searches) {
      Search& search = all[bracket.layer].searches[which];
      search.key = keys[at(search.rank - bracket.below)];
      if (layer.top == 0 || search.rank != layer.count - layer.top) continue;
      for (std::size_t i = keys.size(); i-- > 0 && keys[i] > search.key;) {
        above.sums[bracket.layer] += static_cast<double>(float_of_key(keys[i]));
        ++above.counts[bracket.layer];
      }
    }
  }
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (above.wanted[l] == 0) continue;
    const double threshold = float_of_key(threshold_of(layers[l], all[l]).key);
    layers[l].top_sum = above.sums[l] + static_cast<double>(layers[l].top - above.counts[l]) * threshold;
  }
}

}  // namespace

void find_order(OrderSweeps& sweeps, std::vector<LayerOrder>& layers) {
  expects(sweeps.voxels() <= kMostOrdered, "order statistics", "fewer than 2^32 voxels", std::to_string(sweeps.voxels()));
  std::vector<LayerSearch> all = start_searches(layers);
  std::vector<Bracket> brackets;
  if (sweeps.voxels() <= kCollected) {
    brackets = whole_brackets(layers, all);
  } else {
    add_sample(sweeps, all);
    brackets = first_brackets(layers, all);
  }
  while (!few_enough(brackets)) brackets = narrow_all(sweeps, layers, brackets, all);
  finish(sweeps, layers, brackets, all);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    layers[l].found.clear();
    for (const std::int64_t rank : layers[l].ranks) {
      const auto same = [&](const Search& search) { return search.rank == rank; };
      layers[l].found.push_back(float_of_key(std::find_if(all[l].searches.begin(), all[l].searches.end(), same)->key));
    }
  }
}

QuantileRanks quantile_ranks(double q, std::int64_t count) {
  const double position = q * static_cast<double>(count - 1);
  const auto low = static_cast<std::int64_t>(position);
  return {low, std::min(low + 1, count - 1), position - static_cast<double>(low)};
}

std::vector<double> quantiles_from(const float* found, std::int64_t count, const std::vector<double>& quantiles) {
  std::vector<double> out;
  for (std::size_t i = 0; i < quantiles.size(); ++i) {
    out.push_back(between_ranks(found[2 * i], found[2 * i + 1], quantile_ranks(quantiles[i], count).t));
  }
  return out;
}

}  // namespace layer_fast::impl
