#include "bindings/bind_array.hpp"
#include "layer_fast/error.hpp"
#include "layer_fast/resample.hpp"

namespace layer_fast::bindings {
namespace {

Interpolation interpolation_of(const std::string& name) {
  if (name == "nearest") return Interpolation::nearest;
  if (name == "linear") return Interpolation::linear;
  if (name == "cubic") return Interpolation::cubic;
  if (name == "bspline") return Interpolation::bspline;
  refuse("resample", "interpolation to be nearest, linear, cubic or bspline", "'" + name + "'");
}

void resample_bound(const py::object& volume, const py::object& out, const py::object& workspace,
                    const std::string& interpolation, bool antialias, const std::optional<GridMap>& grid_map, const std::optional<std::array<float, 2>>& window,
                    int threads, std::uintptr_t stream) {
  const Borrowed in_view = borrow(volume, "resample", "volume");
  const Borrowed out_view = borrow_out(out, "resample", "out");
  std::optional<Borrowed> work_view;
  if (!workspace.is_none()) work_view.emplace(workspace, "resample", "workspace", true);
  const ArrayView work = work_view ? work_view->view() : ArrayView{};
  ResampleOptions options{.interpolation = interpolation_of(interpolation), .antialias = antialias,
                          .grid_map = grid_map, .place = {threads, stream}};
  if (window) {
    options.has_window = true;
    options.lo = (*window)[0];
    options.hi = (*window)[1];
  }
  const py::gil_scoped_release release;  // no Python object is touched below
  resample(in_view, work, out_view, options);
}

}  // namespace

void bind_resample(py::module_& m) {
  m.def("resample", &resample_bound, py::arg("volume"), py::arg("out"), py::arg("workspace"), py::kw_only(),
        py::arg("interpolation"), py::arg("antialias"), py::arg("grid_map"), py::arg("window"), py::arg("threads"), py::arg("stream"),
        "Write `volume` (z, y, x) or (N, z, y, x), resampled, into `out`. grid_map: 16 numbers, row-major, or None.\n"
        "workspace: float32 of the volume's shape for an oblique bspline, else None.");
}

}  // namespace layer_fast::bindings
