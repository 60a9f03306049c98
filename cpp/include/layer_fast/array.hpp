// The one array type of the core: a pointer, a shape, a dtype and the device it lives on. It owns nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "layer_fast/device.hpp"

namespace layer_fast {

enum class Dtype { boolean, u8, i16, u16, i32, i64, f32, f64 };

// "uint8", "float32", ...: NumPy's names.
const char* dtype_name(Dtype dtype);
std::size_t dtype_size(Dtype dtype);

template <class T>
struct DtypeOf;
template <> struct DtypeOf<bool> { static constexpr Dtype value = Dtype::boolean; };
template <> struct DtypeOf<std::uint8_t> { static constexpr Dtype value = Dtype::u8; };
template <> struct DtypeOf<std::int16_t> { static constexpr Dtype value = Dtype::i16; };
template <> struct DtypeOf<std::uint16_t> { static constexpr Dtype value = Dtype::u16; };
template <> struct DtypeOf<std::int32_t> { static constexpr Dtype value = Dtype::i32; };
template <> struct DtypeOf<std::int64_t> { static constexpr Dtype value = Dtype::i64; };
template <> struct DtypeOf<float> { static constexpr Dtype value = Dtype::f32; };
template <> struct DtypeOf<double> { static constexpr Dtype value = Dtype::f64; };

inline constexpr int kMaxAxes = 5;

// A C-contiguous array in native byte order. Which memory may be written is said by `writable`.
struct ArrayView {
  void* data = nullptr;
  Dtype dtype = Dtype::f32;
  Device device = Device::cpu;
  int axes = 0;
  std::array<std::int64_t, kMaxAxes> shape{};
  bool writable = false;

  std::int64_t size() const;
  bool has_shape(std::initializer_list<std::int64_t> expected) const;
  std::string shape_text() const;  // "(24, 160, 64)"
  ArrayView part(std::int64_t i) const;  // one of the first axis, without it
  ArrayView flat_front() const;          // the first two axes as one
  ArrayView with_front() const;          // an axis of 1 before the others
  // std::invalid_argument where an axis is too long for the 32 bits in which taps keep indices.
  void check_axes(const char* op, const char* name) const;

  // Typed access; a wrong dtype or a write to a read-only array is a std::invalid_argument, not a crash.
  template <class T>
  const T* in(const char* op) const {
    require(op, DtypeOf<T>::value, false);
    return static_cast<const T*>(data);
  }
  template <class T>
  T* out(const char* op) const {
    require(op, DtypeOf<T>::value, true);
    return static_cast<T*>(data);
  }

 private:
  void require(const char* op, Dtype wanted, bool write) const;
};

}  // namespace layer_fast
