#include "bindings/bind_array.hpp"
#include "layer_fast/argmax_resample.hpp"

namespace layer_fast::bindings {
namespace {

void argmax_resample_bound(const py::object& logits, const py::object& out, const std::optional<GridMap>& grid_map,
                           int threads, std::uintptr_t stream) {
  const Borrowed in_view = borrow(logits, "argmax_resample", "logits");
  const Borrowed out_view = borrow_out(out, "argmax_resample", "out");
  const py::gil_scoped_release release;  // no Python object is touched below
  argmax_resample(in_view, out_view, grid_map, {threads, stream});
}

}  // namespace

void bind_argmax_resample(py::module_& m) {
  m.def("argmax_resample", &argmax_resample_bound, py::arg("logits"), py::arg("out"), py::kw_only(),
        py::arg("grid_map"), py::arg("threads"), py::arg("stream"),
        "Write the class of the largest logit (classes, z, y, x), interpolated, into the uint8 `out` (z, y, x).\n"
        "grid_map: 16 numbers, row-major, or None.");
}

}  // namespace layer_fast::bindings
