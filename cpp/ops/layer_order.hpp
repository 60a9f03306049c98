// Quantiles and top shares of layer_reduce, between the moments and the search. Both twins include this.
#pragma once

#include <vector>

#include "layer_fast/layer_reduce.hpp"
#include "ops/order_search.hpp"

namespace layer_fast::impl {

// What the moments say of one row.
struct OrderGiven {
  std::int64_t count;
  float min, max;
  double sum;
};

struct OrderFound {
  std::vector<double> quantiles;  // as many as asked for, NaN for an empty row
  double top_share;               // NaN where not defined
};

// What is to be found out about a row, and what follows from it.
LayerOrder order_of(const OrderGiven& given, const LayerReduceOptions& options);
OrderFound order_found(const LayerOrder& layer, double sum, const LayerReduceOptions& options);

}  // namespace layer_fast::impl
