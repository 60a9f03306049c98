#include "bindings/bind_array.hpp"
#include "layer_fast/layer_weights.hpp"

namespace layer_fast::bindings {
namespace {

void layer_weights_bound(const py::object& labels, const py::object& out, int num_layers,
                         const std::optional<GridMap>& grid_map, int threads, std::uintptr_t stream) {
  const Borrowed labels_view = borrow(labels, "layer_weights", "labels");
  const Borrowed out_view = borrow_out(out, "layer_weights", "out");
  const py::gil_scoped_release release;  // no Python object is touched below
  layer_weights(labels_view, out_view, num_layers, grid_map, {threads, stream});
}

}  // namespace

void bind_layer_weights(py::module_& m) {
  m.def("layer_weights", &layer_weights_bound, py::arg("labels"), py::arg("out"), py::kw_only(), py::arg("num_layers"),
        py::arg("grid_map"), py::arg("threads"), py::arg("stream"),
        "Write what every map voxel counts in every layer's sum into `out` (num_layers + 1, mz, my, mx).");
}

}  // namespace layer_fast::bindings
