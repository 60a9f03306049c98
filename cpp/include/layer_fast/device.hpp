// Where an array lives, and which CUDA devices this process can see.
#pragma once

#include <string>
#include <vector>

namespace layer_fast {

enum class Device { cpu, cuda };

struct CudaDevice {
  std::string name;
  int capability_major = 0;
  int capability_minor = 0;
  std::size_t memory_bytes = 0;
};

struct CudaReport {
  bool built = false;               // the CUDA parts were compiled in
  std::vector<CudaDevice> devices;  // empty: `reason` says why
  std::string reason;
};

// Never throws for a missing driver or device: absence is an answer.
CudaReport cuda_report();

}  // namespace layer_fast
