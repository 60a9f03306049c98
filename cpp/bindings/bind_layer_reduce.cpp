#include <memory>
#include <tuple>

#include "bindings/bind_array.hpp"
#include "layer_fast/layer_reduce.hpp"

namespace layer_fast::bindings {
namespace {

constexpr const char* kOp = "layer_reduce";
using Range = std::optional<std::tuple<double, double, int>>;

// The arrays of a LayerReduceOut, by the names of its members; those not asked for are not in the dict.
class Results {
 public:
  explicit Results(const py::dict& out) : out_(out) {}
  ArrayView take(const char* name) {
    if (!out_.contains(name)) return {};
    kept_.push_back(std::make_unique<Borrowed>(out_[name], kOp, name, true));
    return kept_.back()->view();
  }
  LayerReduceOut all() {
    return {.count = take("count"), .nonfinite = take("nonfinite"), .argmax = take("argmax"), .sum = take("sum"),
            .sum_sq = take("sum_sq"), .sum_abs = take("sum_abs"), .sum_pos = take("sum_pos"), .weight = take("weight"),
            .min = take("min"), .max = take("max"), .quantiles = take("quantiles"), .top_share = take("top_share"),
            .histogram = take("histogram")};
  }

 private:
  py::dict out_;
  std::vector<std::unique_ptr<Borrowed>> kept_;
};

void layer_reduce_bound(const py::object& maps, const py::object& mask, const py::dict& out, bool weighted,
                        int num_layers, const std::optional<GridMap>& grid_map, const std::vector<double>& quantiles,
                        const std::optional<double>& top_fraction, const Range& histogram, int threads, std::uintptr_t stream) {
  const Borrowed maps_view = borrow(maps, kOp, "maps");
  const Borrowed mask_view = borrow(mask, kOp, weighted ? "weights" : "labels");
  Results results(out);
  const LayerReduceOut views = results.all();
  LayerReduceOptions options{.num_layers = num_layers, .grid_map = grid_map, .quantiles = quantiles,
                             .top_fraction = top_fraction, .histogram = std::nullopt, .place = {threads, stream}};
  if (histogram) options.histogram = HistogramRange{std::get<0>(*histogram), std::get<1>(*histogram), std::get<2>(*histogram)};
  const py::gil_scoped_release release;  // no Python object is touched below
  if (weighted) return layer_reduce_weighted(maps_view, mask_view, views, options);
  layer_reduce(maps_view, mask_view, views, options);
}

}  // namespace

void bind_layer_reduce(py::module_& m) {
  m.def("layer_reduce", &layer_reduce_bound, py::arg("maps"), py::arg("mask"), py::arg("out"), py::kw_only(),
        py::arg("weighted"), py::arg("num_layers"), py::arg("grid_map"), py::arg("quantiles"), py::arg("top_fraction"),
        py::arg("histogram"), py::arg("threads"), py::arg("stream"),
        "Write statistics of `maps` (K, z, y, x), or (N, K, z, y, x), per layer of `mask` into the arrays of the dict `out`.");
}

}  // namespace layer_fast::bindings
