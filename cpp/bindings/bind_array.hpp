// How arrays come in from Python: viewed, never copied or cast. The GIL must be held to make and to end a view.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "layer_fast/array.hpp"

namespace layer_fast::bindings {

namespace py = pybind11;

// A view and what keeps its memory alive. NumPy and others come by the buffer protocol, CUDA arrays by
// __cuda_array_interface__. A dtype the core does not know, a foreign byte order or anything that is no array is a
// TypeError; strides are a ValueError (ops.py has copied such arrays before).
class Borrowed {
 public:
  Borrowed(const py::object& array, const char* op, const char* name, bool writable);
  operator const ArrayView&() const { return view_; }  // NOLINT: meant to be used as a view
  const ArrayView& view() const { return view_; }

 private:
  void from_buffer(const py::object& array, const std::string& what, bool writable);
  void from_cuda(const py::object& array, const std::string& what);
  py::buffer_info info_;
  ArrayView view_;
};

inline Borrowed borrow(const py::object& array, const char* op, const char* name) { return {array, op, name, false}; }
inline Borrowed borrow_out(const py::object& array, const char* op, const char* name) { return {array, op, name, true}; }

}  // namespace layer_fast::bindings
