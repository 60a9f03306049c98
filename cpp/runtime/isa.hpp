// The instruction set in use: chosen once, the same for all kernels.
#pragma once

#include <string>
#include <vector>

namespace layer_fast {

// Of the variants that were built, the one that runs: LAYER_FAST_ISA, else the best that this CPU has and that tests
// have run on. A LAYER_FAST_ISA that was not built or that this CPU lacks is a std::invalid_argument, at every call.
int isa_index();

// Its name: "x86-64-v2", "x86-64-v3", "x86-64-v4" or "generic".
std::string kernel_isa();

// The names of the variants that were built and that this CPU can run, the lowest first.
std::vector<std::string> runnable_isas();

}  // namespace layer_fast
