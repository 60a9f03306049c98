// The native module is a list: what is bound, what was built, how errors are translated.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <exception>
#include <string>

#include "layer_fast/device.hpp"
#include "layer_fast/error.hpp"
#include "runtime/isa.hpp"
#include "runtime/parallel.hpp"

namespace py = pybind11;

namespace layer_fast::bindings {
void bind_argmax_resample(py::module_& m);
void bind_intensity_stats(py::module_& m);
void bind_layer_compose(py::module_& m);
void bind_layer_reduce(py::module_& m);
void bind_layer_weights(py::module_& m);
void bind_normalize(py::module_& m);
void bind_resample(py::module_& m);
void bind_resample_labels(py::module_& m);
}

namespace {

py::typing::Dict<py::str, py::object> build_info() {
  const layer_fast::CudaReport cuda = layer_fast::cuda_report();
  py::list devices;
  for (const layer_fast::CudaDevice& device : cuda.devices) {
    py::dict entry;
    entry["name"] = device.name;
    entry["capability"] = py::make_tuple(device.capability_major, device.capability_minor);
    entry["memory_bytes"] = device.memory_bytes;
    devices.append(entry);
  }
  py::typing::Dict<py::str, py::object> info;
  info["version"] = LAYER_FAST_VERSION;
  info["compiler"] = LAYER_FAST_COMPILER;
  info["flags"] = LAYER_FAST_FLAGS;
  info["isa"] = layer_fast::kernel_isa();
  info["isas"] = layer_fast::runnable_isas();
  info["threads"] = layer_fast::resolve_threads(0);
  info["cuda_built"] = cuda.built;
  info["cuda_emulated"] = std::string(LAYER_FAST_CUDA_KIND) == "emulated";
  info["cuda_devices"] = devices;
  info["cuda_reason"] = cuda.reason;
  return info;
}

void translate(std::exception_ptr raised) {
  try {
    if (raised) std::rethrow_exception(raised);
  } catch (const layer_fast::DeviceError& error) {
    py::set_error(py::module_::import("layer_fast.errors").attr("DeviceError"), error.what());
  }
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "Native operations of layer_fast. Use layer_fast.ops, which checks arguments and allocates results.";
  m.attr("__version__") = LAYER_FAST_VERSION;
  m.attr("cuda_kind") = LAYER_FAST_CUDA_KIND;  // none, nvcc, or emulated: on the CPU, for tests
  m.def("build_info", &build_info, "Version, compiler, flags, instruction set, threads and CUDA devices of this build.");
  m.def("resolve_threads", &layer_fast::resolve_threads, py::arg("requested") = 0,
        "Threads of a call: `requested` if positive, else LAYER_FAST_THREADS, else what affinity and cgroup allow.");
  py::register_local_exception_translator(&translate);

  layer_fast::bindings::bind_argmax_resample(m);
  layer_fast::bindings::bind_intensity_stats(m);
  layer_fast::bindings::bind_layer_compose(m);
  layer_fast::bindings::bind_layer_reduce(m);
  layer_fast::bindings::bind_layer_weights(m);
  layer_fast::bindings::bind_normalize(m);
  layer_fast::bindings::bind_resample(m);
  layer_fast::bindings::bind_resample_labels(m);
}
