// LF_MULTI_ISA on a kernel compiles it for several instruction sets; the loader picks one, once a process.
// x86-64-v4 is left out until the tests have run on a machine that has it. Do not add -fno-trapping-math for speed:
// with it GCC 12 drops the condition of `used[i] ? double(x[i]) - mean : 0.0` in the v3 variant (tests/ops notice).
// Kernels hold no fused multiply-add and no reassociation (see the flags), so all variants give the same bytes.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__linux__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define LF_MULTI_ISA __attribute__((target_clones("arch=x86-64-v3", "default")))
#define LF_HAS_X86_64_V3_CLONES  // runtime/isa.cpp reports which variant runs
#else
#define LF_MULTI_ISA  // sanitizers run before the loader could choose
#endif
