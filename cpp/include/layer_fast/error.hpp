// Errors of the core. Form of every message: "[op] expected X, got Y".
// std::invalid_argument becomes ValueError, DeviceError becomes layer_fast.errors.DeviceError.
#pragma once

#include <stdexcept>
#include <string>

namespace layer_fast {

class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void refuse(const std::string& op, const std::string& expected, const std::string& got) {
  throw std::invalid_argument("[" + op + "] expected " + expected + ", got " + got);
}

// The texts are built on the way of a good call too; keep it out of loops over voxels.
inline void expects(bool holds, const std::string& op, const std::string& expected, const std::string& got) {
  if (!holds) refuse(op, expected, got);
}

}  // namespace layer_fast
