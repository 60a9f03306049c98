#include "ops/row_stream.hpp"

#include <algorithm>
#include <cstdint>

#include "runtime/cache.hpp"

namespace layer_fast::impl {
namespace {

constexpr std::int64_t kLine = 16;     // floats in 64 bytes
constexpr std::int64_t kFlush = 1024;  // floats: the stage stays in the first-level cache

}  // namespace

bool past_the_cache(std::int64_t bytes) { return bytes > last_level_cache_bytes(); }

RowStream::RowStream(std::int64_t longest_row)
    : memory_(static_cast<std::size_t>(longest_row + kFlush + 4 * kLine)) {}

float* RowStream::stage() {
  const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
  return memory_.data() + (64 - address % 64) % 64 / sizeof(float);
}

void RowStream::begin(float* to) {
  lead_ = used_ = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(to) % 64 / sizeof(float));
  line_ = to - lead_;
}

void RowStream::commit(std::int64_t n) {
  used_ += n;
  if (used_ >= kFlush) flush();
}

void RowStream::flush() {
  float* staged = stage();
  std::int64_t whole = used_ / kLine * kLine, from = 0;
  if (lead_ > 0 && whole > 0) {  // the first line is shared with what lies before: no whole line to stream
    std::copy(staged + lead_, staged + kLine, line_ + lead_);
    lead_ = 0;
    from = kLine;
  }
  rows_.stream(staged + from, line_ + from, whole - from);
  std::copy(staged + whole, staged + used_, staged);
  line_ += whole;
  used_ -= whole;
}

void RowStream::end() {
  flush();
  std::copy(stage() + lead_, stage() + used_, line_ + lead_);
  rows_.stream_end();
}

}  // namespace layer_fast::impl
