#include "bindings/bind_array.hpp"
#include "layer_fast/normalize.hpp"

namespace layer_fast::bindings {
namespace {

void normalize_bound(const py::object& volume, const py::object& out, double shift, double scale, bool clip,
                     int threads, std::uintptr_t stream) {
  const Borrowed volume_view = borrow(volume, "normalize", "volume");
  const Borrowed out_view = borrow_out(out, "normalize", "out");
  const py::gil_scoped_release release;  // no Python object is touched below
  normalize(volume_view, out_view, shift, scale, clip, {threads, stream});
}

}  // namespace

void bind_normalize(py::module_& m) {
  m.def("normalize", &normalize_bound, py::arg("volume"), py::arg("out"), py::kw_only(), py::arg("shift"),
        py::arg("scale"), py::arg("clip"), py::arg("threads"), py::arg("stream"),
        "Write (volume - shift) / scale, clipped to [0, 1] if `clip`, into `out`.");
}

}  // namespace layer_fast::bindings
