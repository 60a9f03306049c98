#include "runtime/placement.hpp"

#ifdef __linux__
#include <pthread.h>
#endif

namespace layer_fast {

#ifdef __linux__

// What fails here (a processor without a number, more than 1024 of them) leaves the thread where the kernel put it.
Placement::Placement(int helpers) {
  if (helpers == 0) return;
  const int here = sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof(all_), &all_) != 0) return;
  others_ = all_;
  CPU_CLR(static_cast<unsigned>(here), &others_);
  known_ = CPU_COUNT(&others_) > 0;
}

void Placement::move_away(std::thread& helper) const {
  if (known_) pthread_setaffinity_np(helper.native_handle(), sizeof(others_), &others_);
}

void Placement::release() const {
  if (known_) sched_setaffinity(0, sizeof(all_), &all_);
}

#else

Placement::Placement(int) {}
void Placement::move_away(std::thread&) const {}
void Placement::release() const {}

#endif

}  // namespace layer_fast
