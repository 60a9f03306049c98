#include "bindings/bind_array.hpp"
#include "layer_fast/layer_compose.hpp"

namespace layer_fast::bindings {
namespace {

void layer_compose_bound(const py::object& image, const py::object& labels, const py::object& coalitions,
                         const py::object& fill_values, const py::object& out, int threads, std::uintptr_t stream) {
  constexpr const char* kOp = "layer_compose";
  const Borrowed image_view = borrow(image, kOp, "image");
  const Borrowed labels_view = borrow(labels, kOp, "labels");
  const Borrowed coalitions_view = borrow(coalitions, kOp, "coalitions");
  const Borrowed fill_view = borrow(fill_values, kOp, "fill_values");
  const Borrowed out_view = borrow_out(out, kOp, "out");
  const py::gil_scoped_release release;  // no Python object is touched below
  layer_compose(image_view, labels_view, coalitions_view, fill_view, out_view, {threads, stream});
}

}  // namespace

void bind_layer_compose(py::module_& m) {
  m.def("layer_compose", &layer_compose_bound, py::arg("image"), py::arg("labels"), py::arg("coalitions"),
        py::arg("fill_values"), py::arg("out"), py::kw_only(), py::arg("threads"), py::arg("stream"),
        "Write the image with the layers outside each coalition replaced into `out` (N, C, z, y, x).");
}

}  // namespace layer_fast::bindings
