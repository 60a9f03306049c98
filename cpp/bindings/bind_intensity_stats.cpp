#include "bindings/bind_array.hpp"
#include "layer_fast/error.hpp"
#include "layer_fast/intensity_stats.hpp"

namespace layer_fast::bindings {
namespace {

constexpr const char* kOp = "intensity_stats";

Within within_of(const std::string& name) {
  if (name == "all") return Within::all;
  if (name == "nonzero") return Within::nonzero;
  if (name == "mask") return Within::mask;
  refuse(kOp, "within to be all, nonzero or a mask", "'" + name + "'");
}

// An array that may be None: an empty view then.
std::optional<Borrowed> maybe(const py::object& array, const char* name, bool writable) {
  if (array.is_none()) return std::nullopt;
  return std::optional<Borrowed>(std::in_place, array, kOp, name, writable);
}

py::dict intensity_stats_bound(const py::object& volume, const std::string& within, const py::object& mask,
                               const std::vector<double>& percentiles, const py::object& histogram, bool only_ranks,
                               int threads, std::uintptr_t stream) {
  const Borrowed volume_view = borrow(volume, kOp, "volume");
  const auto mask_view = maybe(mask, "within", false);
  const auto histogram_view = maybe(histogram, "histogram", true);
  const auto view = [](const std::optional<Borrowed>& one) { return one ? one->view() : ArrayView{}; };
  IntensityStats stats;
  {
    const py::gil_scoped_release release;  // no Python object is touched here
    stats = intensity_stats(volume_view, within_of(within), view(mask_view), percentiles, view(histogram_view),
                            only_ranks, {threads, stream});
  }
  py::dict out;
  out["count"] = stats.count;
  out["nonfinite"] = stats.nonfinite;
  out["sum"] = stats.sum;
  out["min"] = stats.min;
  out["max"] = stats.max;
  out["mean"] = stats.mean;
  out["std"] = stats.std;
  out["percentiles"] = stats.percentiles;
  return out;
}

}  // namespace

void bind_intensity_stats(py::module_& m) {
  m.def("intensity_stats", &intensity_stats_bound, py::arg("volume"), py::kw_only(), py::arg("within"), py::arg("mask"),
        py::arg("percentiles"), py::arg("histogram"), py::arg("only_ranks"), py::arg("threads"), py::arg("stream"),
        "Moments and percentiles of `volume` as a dict; fills `histogram` for integer volumes.");
}

}  // namespace layer_fast::bindings
