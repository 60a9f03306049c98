// One source, one table of function pointers per instruction set. See Note [One source, several instruction sets] in
// cpp/README.md.
#pragma once

#include "kernels/isa_list.hpp"  // written by CMake: LF_FOR_EACH_ISA(X, ...) is X(x86_64_v2, ...) X(x86_64_v3, ...) ...
#include "runtime/isa.hpp"

#define LF_DECLARE_VARIANT(isa, Table, name) \
  namespace isa {                            \
  extern const Table name;                   \
  }
#define LF_POINT_TO_VARIANT(isa, Table, name) &isa::name,

// In namespace layer_fast::kernels: declares the variants isa::name that the kernel source defines, and the function
// name() that gives this process's.
#define LF_KERNEL_TABLE(Table, name)                                                                       \
  LF_FOR_EACH_ISA(LF_DECLARE_VARIANT, Table, name)                                                         \
  inline const Table& name() {                                                                             \
    static constexpr const Table* variants[] = {LF_FOR_EACH_ISA(LF_POINT_TO_VARIANT, Table, name)}; \
    return *variants[isa_index()];                                                                         \
  }
