#include "layer_fast/array.hpp"

#include <algorithm>
#include <limits>

#include "layer_fast/error.hpp"

namespace layer_fast {

const char* dtype_name(Dtype dtype) {
  switch (dtype) {
    case Dtype::boolean: return "bool";
    case Dtype::u8: return "uint8";
    case Dtype::i16: return "int16";
    case Dtype::u16: return "uint16";
    case Dtype::i32: return "int32";
    case Dtype::i64: return "int64";
    case Dtype::f32: return "float32";
    case Dtype::f64: return "float64";
  }
  return "unknown";
}

std::size_t dtype_size(Dtype dtype) {
  switch (dtype) {
    case Dtype::boolean:
    case Dtype::u8: return 1;
    case Dtype::i16:
    case Dtype::u16: return 2;
    case Dtype::i32:
    case Dtype::f32: return 4;
    case Dtype::i64:
    case Dtype::f64: return 8;
  }
  return 0;
}

std::int64_t ArrayView::size() const {
  std::int64_t n = 1;
  for (int a = 0; a < axes; ++a) n *= shape[static_cast<std::size_t>(a)];
  return n;
}

bool ArrayView::has_shape(std::initializer_list<std::int64_t> expected) const {
  return static_cast<std::size_t>(axes) == expected.size() &&
         std::equal(expected.begin(), expected.end(), shape.begin());
}

std::string ArrayView::shape_text() const {
  std::string text = "(";
  for (int a = 0; a < axes; ++a) {
    text += (a ? ", " : "") + std::to_string(shape[static_cast<std::size_t>(a)]);
  }
  return text + (axes == 1 ? ",)" : ")");
}

ArrayView ArrayView::part(std::int64_t i) const {
  ArrayView out = *this;
  std::copy(shape.begin() + 1, shape.end(), out.shape.begin());
  out.axes = axes - 1;
  out.data = static_cast<unsigned char*>(data) + static_cast<std::size_t>(i * out.size()) * dtype_size(dtype);
  return out;
}

ArrayView ArrayView::flat_front() const {
  ArrayView out = *this;
  std::copy(shape.begin() + 1, shape.end(), out.shape.begin());
  out.axes = axes - 1;
  out.shape[0] *= shape[0];
  return out;
}

ArrayView ArrayView::with_front() const {
  ArrayView out = *this;
  std::copy(shape.begin(), shape.end() - 1, out.shape.begin() + 1);
  out.shape[0] = 1;
  out.axes = axes + 1;
  return out;
}

void ArrayView::check_axes(const char* op, const char* name) const {
  const auto too_long = [](std::int64_t n) { return n > std::numeric_limits<std::int32_t>::max(); };
  if (std::none_of(shape.begin(), shape.begin() + axes, too_long)) return;
  refuse(op, std::string(name) + " with fewer than 2^31 voxels along each axis", shape_text());
}

void ArrayView::require(const char* op, Dtype wanted, bool write) const {
  expects(dtype == wanted, op, dtype_name(wanted), dtype_name(dtype));
  expects(writable || !write, op, "an output that may be written", "a read-only array");
}

}  // namespace layer_fast
