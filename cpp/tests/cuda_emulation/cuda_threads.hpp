// Threads of a block as fibers, each of which runs until it waits for others: at __syncthreads or a warp's exchange.
// LAYER_FAST_EMULATED_ORDER=forward (default), reversed or shuffled is the order of blocks and threads: what depends on
// it would be a race on a GPU. A barrier that a thread has left for ever ends the launch with an error.
#pragma once

#include <cstdint>
#include <functional>

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(4) uchar4 { unsigned char x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline uchar4 make_uchar4(unsigned char x, unsigned char y, unsigned char z, unsigned char w) { return {x, y, z, w}; }

extern uint3 blockIdx;
extern dim3 blockDim, gridDim;

namespace layer_fast::emulated {

struct Thread {
  uint3 index{};
  int number = 0;
};
extern Thread* current;
extern unsigned char* shared_memory;

int run_grid(const void* kernel, dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& body);
void allow_shared(const void* kernel, std::size_t bytes);
void barrier();
// Every lane of `mask` gives its bits; returns all 32 lanes' bits, valid until this lane's next exchange but one.
const std::uint64_t* exchange(unsigned mask, std::uint64_t bits);
inline unsigned lane() { return static_cast<unsigned>(current->number) & 31u; }

}  // namespace layer_fast::emulated

#define __global__
#define __device__
#define __host__
#define __constant__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define threadIdx (::layer_fast::emulated::current->index)
#define warpSize 32
#define LF_DYNAMIC_SHARED(T, name) T* const name = reinterpret_cast<T*>(::layer_fast::emulated::shared_memory)

#include "cuda_intrinsics.hpp"
