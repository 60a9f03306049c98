#include "bindings/bind_array.hpp"

#include <optional>
#include <vector>

namespace layer_fast::bindings {
namespace {

std::optional<Dtype> dtype_of(const py::buffer_info& info) {
  if (info.item_type_is_equivalent_to<bool>()) return Dtype::boolean;
  if (info.item_type_is_equivalent_to<std::uint8_t>()) return Dtype::u8;
  if (info.item_type_is_equivalent_to<std::int16_t>()) return Dtype::i16;
  if (info.item_type_is_equivalent_to<std::uint16_t>()) return Dtype::u16;
  if (info.item_type_is_equivalent_to<std::int32_t>()) return Dtype::i32;
  if (info.item_type_is_equivalent_to<std::int64_t>()) return Dtype::i64;
  if (info.item_type_is_equivalent_to<float>()) return Dtype::f32;
  if (info.item_type_is_equivalent_to<double>()) return Dtype::f64;
  return std::nullopt;
}

std::optional<Dtype> dtype_of(const std::string& typestr) {
  for (const Dtype dtype : {Dtype::boolean, Dtype::u8, Dtype::i16, Dtype::u16, Dtype::i32, Dtype::i64, Dtype::f32,
                            Dtype::f64}) {
    const char kind = dtype == Dtype::boolean ? 'b' : dtype == Dtype::u8 || dtype == Dtype::u16 ? 'u'
                    : dtype == Dtype::f32 || dtype == Dtype::f64 ? 'f' : 'i';
    const std::string tail = kind + std::to_string(dtype_size(dtype));
    if (typestr == "<" + tail || typestr == "|" + tail) return dtype;
  }
  return std::nullopt;
}

template <class Sizes>
void set_shape(ArrayView& view, const Sizes& sizes, const std::string& what) {
  if (sizes.size() > static_cast<std::size_t>(kMaxAxes)) {
    throw py::value_error(what + " to have at most 5 axes, got " + std::to_string(sizes.size()));
  }
  view.axes = static_cast<int>(sizes.size());
  for (std::size_t a = 0; a < sizes.size(); ++a) view.shape[a] = static_cast<std::int64_t>(sizes[a]);
}

}  // namespace

Borrowed::Borrowed(const py::object& array, const char* op, const char* name, bool writable) {
  const std::string what = std::string("[") + op + "] expected " + name;
  if (PyObject_CheckBuffer(array.ptr())) {
    from_buffer(array, what, writable);
  } else if (py::hasattr(array, "__cuda_array_interface__")) {
    from_cuda(array, what);
  } else {
    throw py::type_error(what + " to be an array, got " + std::string(py::str(py::type::of(array))));
  }
}

void Borrowed::from_buffer(const py::object& array, const std::string& what, bool writable) {
  info_ = py::reinterpret_borrow<py::buffer>(array).request(writable);
  const std::optional<Dtype> dtype = dtype_of(info_);
  if (!dtype) throw py::type_error(what + " of a known dtype in native byte order, got format '" + info_.format + "'");
  set_shape(view_, info_.shape, what);
  py::ssize_t stride = info_.itemsize;
  for (std::size_t a = info_.shape.size(); a-- > 0; stride *= info_.shape[a]) {
    if (info_.shape[a] > 1 && info_.strides[a] != stride) {
      throw py::value_error(what + " to be C-contiguous, got strides");
    }
  }
  view_.data = info_.ptr;
  view_.dtype = *dtype;
  view_.writable = writable;
}

void Borrowed::from_cuda(const py::object& array, const std::string& what) {
  const auto described = array.attr("__cuda_array_interface__").cast<py::dict>();
  const std::optional<Dtype> dtype = dtype_of(described["typestr"].cast<std::string>());
  if (!dtype) throw py::type_error(what + " of a known dtype, got '" + described["typestr"].cast<std::string>() + "'");
  if (described.contains("strides") && !described["strides"].is_none()) {
    throw py::value_error(what + " to be C-contiguous, got strides");
  }
  const auto data = described["data"].cast<py::tuple>();
  set_shape(view_, described["shape"].cast<std::vector<std::int64_t>>(), what);
  view_.data = reinterpret_cast<void*>(data[0].cast<std::uintptr_t>());
  view_.dtype = *dtype;
  view_.device = Device::cuda;
  view_.writable = !data[1].cast<bool>();
}

}  // namespace layer_fast::bindings
