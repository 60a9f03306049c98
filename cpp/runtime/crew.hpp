// The threads of one call. Those that have begun meet between phases; one that begins after the call has ended leaves
// at once, and nobody waits for it: on a busy machine a new thread may begin many milliseconds late.
#pragma once

#include <condition_variable>
#include <latch>
#include <mutex>

#include "runtime/placement.hpp"

namespace layer_fast {

// Shared by the caller and its helpers, of which the last one frees it: it may outlive the call. What else belongs to
// the call may be touched by a helper only between `enter` and `leave`.
class Crew {
 public:
  explicit Crew(int helpers) : placement(helpers) {}

  // By a helper. False where the call has ended.
  bool enter() {
    const std::scoped_lock lock(guard_);
    if (closed_) return false;
    ++inside_;
    return true;
  }

  void leave() {
    const std::scoped_lock lock(guard_);
    --inside_;
    change_.notify_all();
  }

  // Returns when all that have entered are here; the last one calls `advance` before any goes on.
  template <class Advance>
  void meet(const Advance& advance) {
    std::unique_lock lock(guard_);
    if (++here_ < inside_) {
      const long meeting = meetings_;
      change_.wait(lock, [&] { return meetings_ != meeting; });
      return;
    }
    advance();
    here_ = 0;
    ++meetings_;
    change_.notify_all();
  }

  // By the caller, who has nothing left to do. Returns when the helpers that had entered have left.
  void close() {
    std::unique_lock lock(guard_);
    closed_ = true;
    change_.wait(lock, [this] { return inside_ == 1; });
  }

  const Placement placement;
  std::latch placed{1};  // a thread that has ended has no number: moving it would move the caller

 private:
  std::mutex guard_;
  std::condition_variable change_;
  int inside_ = 1, here_ = 0;  // the caller is inside from the beginning
  long meetings_ = 0;
  bool closed_ = false;
};

}  // namespace layer_fast
