// Where an array lives, and which CUDA devices this process can see.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace layer_fast {

enum class Device { cpu, cuda };

// How a call is carried out where its arrays live; nothing of it can change a value.
struct Place {
  int threads = 0;            // CPU; 0: the default of resolve_threads
  std::uintptr_t stream = 0;  // CUDA: the caller's stream (a cudaStream_t), 0 for the default stream
};

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
