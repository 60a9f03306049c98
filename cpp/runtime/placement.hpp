// Where a helper thread begins: on a processor that is not the caller's. Some kernels (virtual machines without scheduling
// domains) leave a new thread on its creator's processor, where it waits until the creator sleeps: with two threads as slow
// as with one.
#pragma once

#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

namespace layer_fast {

class Placement {
 public:
  // Looks up the caller's processors and the one it runs on, where there will be helpers.
  explicit Placement(int helpers);

  // By the caller, for a thread that runs: one that has ended has no number, and the caller would be moved.
  void move_away(std::thread& helper) const;

  // By the helper, once it runs: from here on the kernel may move it as it likes.
  void release() const;

 private:
#ifdef __linux__
  cpu_set_t all_, others_;
  bool known_ = false;
#endif
};

}  // namespace layer_fast
