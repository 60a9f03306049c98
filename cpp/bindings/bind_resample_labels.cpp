#include "bindings/bind_array.hpp"
#include "layer_fast/resample_labels.hpp"

namespace layer_fast::bindings {
namespace {

void resample_labels_bound(const py::object& labels, const py::object& out, const std::optional<GridMap>& grid_map,
                           int threads, std::uintptr_t stream) {
  const Borrowed in_view = borrow(labels, "resample_labels", "labels");
  const Borrowed out_view = borrow_out(out, "resample_labels", "out");
  const py::gil_scoped_release release;  // no Python object is touched below
  resample_labels(in_view, out_view, grid_map, {threads, stream});
}

}  // namespace

void bind_resample_labels(py::module_& m) {
  m.def("resample_labels", &resample_labels_bound, py::arg("labels"), py::arg("out"), py::kw_only(),
        py::arg("grid_map"), py::arg("threads"), py::arg("stream"),
        "Write labels (z, y, x), nearest, into a uint8 `out` (z, y, x), or their fractions into a float32 one\n"
        "(num_labels, z, y, x). grid_map: 16 numbers, row-major, or None.");
}

}  // namespace layer_fast::bindings
