#include "runtime/isa.hpp"

#include <cstdlib>
#include <string_view>

#include "kernels/isa_list.hpp"
#include "layer_fast/error.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace layer_fast {
namespace {

// Features one by one: the names of the levels came to the compilers later than the levels.
#if defined(__x86_64__)
// Three of the third level that older compilers have no name for; a virtual machine may hide them.
bool has_movbe_f16c_lzcnt() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_MOVBE) == 0 || (c & bit_F16C) == 0) return false;
  return __get_cpuid(0x80000001, &a, &b, &c, &d) != 0 && (c & bit_LZCNT) != 0;
}

bool has_x86_64_v2() { return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"); }
bool has_x86_64_v3() {
  return has_x86_64_v2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") && has_movbe_f16c_lzcnt();
}
[[maybe_unused]] bool has_x86_64_v4() {
  return has_x86_64_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif
[[maybe_unused]] bool has_generic() { return true; }

struct Variant {
  const char* name;
  bool (*runs)();
};

// Rising; in the order of LF_FOR_EACH_ISA.
#define LF_VARIANT(isa, text) {text, &has_##isa},
constexpr Variant kVariants[] = {LF_FOR_EACH_ISA_NAME(LF_VARIANT)};
constexpr int kCount = static_cast<int>(sizeof(kVariants) / sizeof(kVariants[0]));

std::string names() {
  std::string text;
  for (const std::string& name : runnable_isas()) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "no variant at all: this CPU is older than every one that was built" : text;
}

int choose() {
  const char* wish = std::getenv("LAYER_FAST_ISA");
  const bool forced = wish != nullptr && *wish != '\0';
  for (int i = kCount - 1; i >= 0; --i) {
    const bool wanted = !forced || std::string_view(wish) == kVariants[i].name;
    if (wanted && kVariants[i].runs()) return i;
  }
  refuse("isa", "LAYER_FAST_ISA to be what this build has and this CPU can run (" + names() + ")",
         forced ? std::string("'") + wish + "'" : "a CPU without one");
}

}  // namespace

int isa_index() {
  static const int chosen = choose();  // stays unset where choose throws
  return chosen;
}

std::string kernel_isa() { return kVariants[isa_index()].name; }

std::vector<std::string> runnable_isas() {
  std::vector<std::string> runnable;
  for (const Variant& variant : kVariants) {
    if (variant.runs()) runnable.emplace_back(variant.name);
  }
  return runnable;
}

}  // namespace layer_fast
