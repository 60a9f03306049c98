// The instruction set in use. Today one build for all; variants per ISA will be chosen here, once, at first use.
#pragma once

#include <string>

namespace layer_fast {

// "x86-64-v1" .. "x86-64-v4", "aarch64" or "generic": what the kernels were compiled for.
std::string kernel_isa();

}  // namespace layer_fast
