// The recursive filter that turns samples into coefficients of the interpolating cubic B-spline.
#pragma once

#include <cstdint>

#include "kernels/isa_table.hpp"

namespace layer_fast::kernels {

inline constexpr double kBsplinePole = -0.26794919243112270647;  // sqrt(3) - 2
inline constexpr std::int64_t kBsplineSide = 16;                  // rows that are filtered side by side

struct BsplineRows {
  // `count` lines side by side (neighbours in memory), each of n samples `stride` apart, filtered in place.
  // first: scratch for `count` numbers.
  void (*columns)(float* data, std::int64_t n, std::int64_t stride, std::int64_t count, double* first);
  // kBsplineSide rows of nx samples that follow each other, filtered along x in place. turned: scratch of their size.
  void (*rows)(float* rows, std::int64_t nx, float* turned, double* first);
};

LF_KERNEL_TABLE(BsplineRows, bspline_rows)

}  // namespace layer_fast::kernels
