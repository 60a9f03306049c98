#include "kernels/intensities.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

constexpr std::int32_t kBeyond = 65536;

template <class T>
struct Widths {
  using Sum = std::int64_t;
  using Square = std::uint64_t;
};
template <>
struct Widths<std::uint8_t> {  // 65536 squares of 255 are still below 2^32
  using Sum = std::int32_t;
  using Square = std::uint32_t;
};

// What is left out becomes 0, which adds nothing, and lies beyond the range.
template <class T, bool kMask, bool kNonzero>
IntegerSums sums_of(const T* values, const std::uint8_t* mask, std::int64_t n) {
  std::int32_t low = kBeyond, high = -kBeyond, count = 0;
  typename Widths<T>::Sum sum = 0;
  typename Widths<T>::Square sum_sq = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int32_t value = values[i];
    bool in = true;
    if constexpr (kMask) in = mask[i] != 0;
    if constexpr (kNonzero) in = in & (value != 0);
    const std::int32_t kept = in ? value : 0, least = in ? value : kBeyond, most = in ? value : -kBeyond;
    low = least < low ? least : low;
    high = most > high ? most : high;
    count += in;
    sum += kept;
    sum_sq += static_cast<std::uint32_t>(kept) * static_cast<std::uint32_t>(kept);
  }
  return {count, sum, sum_sq, low, high};
}

template <class T>
IntegerSums sums(const void* untyped, const std::uint8_t* mask, bool nonzero, std::int64_t n) {
  const T* values = static_cast<const T*>(untyped);
  if (mask != nullptr) return sums_of<T, true, false>(values, mask, n);
  return nonzero ? sums_of<T, false, true>(values, mask, n) : sums_of<T, false, false>(values, mask, n);
}

}  // namespace

const Intensities intensities{sums<std::uint8_t>, sums<std::int16_t>, sums<std::uint16_t>};

}  // namespace layer_fast::kernels::LF_ISA
