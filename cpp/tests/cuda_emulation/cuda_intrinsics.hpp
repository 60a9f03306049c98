// Device functions on the CPU. Fibers change only where they wait, so every atomic is one indeed.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "cuda_threads.hpp"

inline void __syncthreads() { layer_fast::emulated::barrier(); }
inline void __syncwarp(unsigned mask = 0xffffffffu) { layer_fast::emulated::exchange(mask, 0); }
inline void __threadfence() {}
inline void __threadfence_block() {}

// ---- a warp's exchanges ----

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  static_assert(sizeof(T) <= 8);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  const unsigned lane = layer_fast::emulated::lane();
  const std::uint64_t* all = layer_fast::emulated::exchange(mask, bits);
  const unsigned from = (lane & ~static_cast<unsigned>(width - 1)) | (static_cast<unsigned>(source) & static_cast<unsigned>(width - 1));
  std::memcpy(&value, &all[from], sizeof(T));
  return value;
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
  return __shfl_sync(mask, value, static_cast<int>(layer_fast::emulated::lane()) ^ lanes, width);
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const unsigned within = layer_fast::emulated::lane() & static_cast<unsigned>(width - 1);
  const unsigned from = within + by < static_cast<unsigned>(width) ? within + by : within;
  return __shfl_sync(mask, value, static_cast<int>(from), width);
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const unsigned within = layer_fast::emulated::lane() & static_cast<unsigned>(width - 1);
  return __shfl_sync(mask, value, static_cast<int>(within >= by ? within - by : within), width);
}

template <class Take>
unsigned lanes_where(unsigned mask, std::uint64_t bits, Take take) {
  const std::uint64_t* all = layer_fast::emulated::exchange(mask, bits);
  unsigned found = 0;
  for (unsigned i = 0; i < 32; ++i) {
    if ((mask >> i & 1u) != 0 && take(all[i])) found |= 1u << i;
  }
  return found;
}

inline unsigned __ballot_sync(unsigned mask, int is) {
  return lanes_where(mask, is != 0, [](std::uint64_t v) { return v != 0; });
}
inline int __any_sync(unsigned mask, int is) { return __ballot_sync(mask, is) != 0; }
inline int __all_sync(unsigned mask, int is) { return __ballot_sync(mask, is) == mask; }

template <class T>
unsigned __match_any_sync(unsigned mask, T value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return lanes_where(mask, bits, [bits](std::uint64_t v) { return v == bits; });
}

inline unsigned __reduce_add_sync(unsigned mask, unsigned value) {
  const std::uint64_t* all = layer_fast::emulated::exchange(mask, value);
  unsigned sum = 0;
  for (unsigned i = 0; i < 32; ++i) sum += (mask >> i & 1u) != 0 ? static_cast<unsigned>(all[i]) : 0u;
  return sum;
}

// ---- atomics ----

template <class T>
T atomicAdd(T* at, T value) { const T old = *at; *at = static_cast<T>(old + value); return old; }
template <class T>
T atomicMax(T* at, T value) { const T old = *at; *at = old < value ? value : old; return old; }
template <class T>
T atomicMin(T* at, T value) { const T old = *at; *at = value < old ? value : old; return old; }
template <class T>
T atomicOr(T* at, T value) { const T old = *at; *at = old | value; return old; }
template <class T>
T atomicExch(T* at, T value) { const T old = *at; *at = value; return old; }
template <class T>
T atomicCAS(T* at, T expected, T value) { const T old = *at; if (old == expected) *at = value; return old; }
float atomicAdd(float*, float) = delete;  // the order of additions would not be fixed
double atomicAdd(double*, double) = delete;

// ---- bits ----

template <class T>
T __ldg(const T* at) { return *at; }
inline int __popc(unsigned v) { return std::popcount(v); }
inline int __clz(int v) { return std::countl_zero(static_cast<unsigned>(v)); }
inline int __ffs(int v) { return v == 0 ? 0 : std::countr_zero(static_cast<unsigned>(v)) + 1; }
inline int __float_as_int(float v) { return std::bit_cast<int>(v); }
inline unsigned __float_as_uint(float v) { return std::bit_cast<unsigned>(v); }
inline float __int_as_float(int v) { return std::bit_cast<float>(v); }
inline float __uint_as_float(unsigned v) { return std::bit_cast<float>(v); }
inline long long __double_as_longlong(double v) { return std::bit_cast<long long>(v); }
inline double __longlong_as_double(long long v) { return std::bit_cast<double>(v); }
