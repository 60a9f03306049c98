#include "runtime/isa.hpp"

#include "runtime/multi_isa.hpp"

namespace layer_fast {

std::string kernel_isa() {
#if defined(LF_HAS_X86_64_V3_CLONES)
  if (__builtin_cpu_supports("x86-64-v3")) return "x86-64-v3";  // the question that the loader asks
#endif
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
  return "x86-64-v4";
#elif defined(__AVX2__) && defined(__FMA__)
  return "x86-64-v3";
#elif defined(__SSE4_2__)
  return "x86-64-v2";
#elif defined(__x86_64__)
  return "x86-64-v1";
#elif defined(__aarch64__)
  return "aarch64";
#else
  return "generic";
#endif
}

}  // namespace layer_fast
