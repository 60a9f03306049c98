#include "kernels/labels.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

std::uint8_t highest(const std::uint8_t* labels, std::int64_t count) {
  std::uint8_t most = 0;
  for (std::int64_t i = 0; i < count; ++i) most = labels[i] > most ? labels[i] : most;
  return most;
}

}  // namespace

const Labels labels{highest};

}  // namespace layer_fast::kernels::LF_ISA
