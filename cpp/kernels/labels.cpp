#include "kernels/labels.hpp"

#include "kernels/label_bytes.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

std::uint8_t highest(const std::uint8_t* labels, std::int64_t count) {
  std::uint8_t most = 0;
  for (std::int64_t i = 0; i < count; ++i) most = labels[i] > most ? labels[i] : most;
  return most;
}

std::int64_t same(const std::uint8_t* labels, std::int64_t count) {
  std::int64_t length = run_length(labels, count);
  while (length < count && labels[length] == labels[0]) ++length;
  return length;
}

}  // namespace

const Labels labels{highest, same};

}  // namespace layer_fast::kernels::LF_ISA
