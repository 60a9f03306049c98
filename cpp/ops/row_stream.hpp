// Rows of floats that follow each other in memory, written past the cache in whole lines.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/resample_rows.hpp"

namespace layer_fast::impl {

// Whether an output of this size is better not kept in the cache: it would not fit, and a line that is written whole
// need not be read first.
bool past_the_cache(std::int64_t bytes);

class RowStream {
 public:
  explicit RowStream(std::int64_t longest_row);

  void begin(float* to);
  // Where the next row is to be computed; it counts when commit(its length) is called.
  float* row() { return stage() + used_; }
  void commit(std::int64_t n);
  void end();

 private:
  float* stage();
  void flush();

  const kernels::ResampleRows& rows_ = kernels::resample_rows();
  std::vector<float> memory_;
  float* line_ = nullptr;   // of the output: where stage()[0] belongs, on 64 bytes
  std::int64_t lead_ = 0;   // floats at the front of the stage that are not ours
  std::int64_t used_ = 0;
};

}  // namespace layer_fast::impl
