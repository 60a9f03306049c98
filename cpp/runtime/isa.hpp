// The instruction set in use.
#pragma once

#include <string>

namespace layer_fast {

// "x86-64-v1" .. "x86-64-v4", "aarch64" or "generic": the variant of the LF_MULTI_ISA kernels that the loader has
// chosen on this CPU; where they have no variants, what all code was compiled for.
std::string kernel_isa();

}  // namespace layer_fast
