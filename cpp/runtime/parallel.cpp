#include "runtime/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <thread>

#include "runtime/crew.hpp"

#ifdef __unix__
#include <pthread.h>
#endif

namespace layer_fast {
namespace {

using Body = std::function<void(std::int64_t, std::int64_t, int)>;

class Job {
 public:
  Job(std::int64_t phases, const std::function<std::int64_t(std::int64_t)>& tiles, const Body& body)
      : phases_(phases), tiles_(tiles), body_(body), count_(tiles(0)) {}

  // What one thread does. `rendezvous(last)` returns when all threads of the call are there.
  template <class Rendezvous>
  void work(int worker, const Rendezvous& rendezvous) noexcept {
    while (!over_) {  // one that begins late may find that a tile has failed
      const bool last = phase_ + 1 == phases_;
      run_tiles(worker);
      if (last) return;
      rendezvous();
    }
  }

  // Between two phases, by one thread while the others wait.
  void advance() noexcept {
    over_ = stop_.load(std::memory_order_relaxed);
    if (over_) return;
    count_ = tiles_(++phase_);
    next_.store(0, std::memory_order_relaxed);
  }

  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  // Tiles are handed out in order, so every tile below a failing one has been started and will be heard:
  // the lowest failure is the same for any number of threads.
  void run_tiles(int worker) noexcept {
    while (!stop_.load(std::memory_order_relaxed)) {
      const std::int64_t tile = next_.fetch_add(1, std::memory_order_relaxed);
      if (tile >= count_) return;
      try {
        body_(phase_, tile, worker);
      } catch (...) {
        const std::scoped_lock lock(guard_);
        stop_.store(true, std::memory_order_relaxed);
        if (tile < failed_tile_) {
          failed_tile_ = tile;
          failure_ = std::current_exception();
        }
      }
    }
  }

  const std::int64_t phases_;
  const std::function<std::int64_t(std::int64_t)>& tiles_;
  const Body& body_;
  std::int64_t phase_ = 0, count_;  // written between phases only
  bool over_ = false;               // the same
  std::atomic<std::int64_t> next_{0};
  std::atomic<bool> stop_{false};
  std::mutex guard_;
  std::int64_t failed_tile_ = std::numeric_limits<std::int64_t>::max();
  std::exception_ptr failure_;
};

// Threads of this process inside parallel_for: callers and their helpers, also those that have yet to begin.
std::atomic<int> at_work{0};
std::atomic<bool> forked{false};

#ifdef __unix__
// The child has one thread, wherever the parent's others were.
const int registered = pthread_atfork(nullptr, nullptr, [] {
  at_work.store(0);
  forked.store(true);
});
#endif

// The caller's place and those of the helpers it may have.
class Places {
 public:
  explicit Places(int workers) : helpers_(0) {
    if (workers == 1) return;  // no helper wanted, and the caller's own place hardly matters
    const int most = std::max(workers, resolve_threads(0));
    int now = at_work.load();
    do {
      helpers_ = std::clamp(most - now - 1, 0, workers - 1);
    } while (!at_work.compare_exchange_weak(now, now + helpers_ + 1));
    taken_ = helpers_ + 1;
  }
  Places(const Places&) = delete;
  Places& operator=(const Places&) = delete;
  ~Places() {
    if (taken_ > 0) at_work.fetch_sub(taken_);
  }
  int helpers() const { return helpers_; }
  // A helper has begun: its place is given back when it ends, which may be after the call.
  void hand_over() { --taken_; }

 private:
  int helpers_, taken_ = 0;
};

void begin_helper(Job& job, int worker, Places& places, const std::shared_ptr<Crew>& crew) {
  std::thread helper([crew, worker, &job] {
    crew->placement.release();
    if (crew->enter()) {
      job.work(worker, [&] { crew->meet([&job] { job.advance(); }); });
      crew->leave();
    }
    crew->placed.wait();
    at_work.fetch_sub(1);
  });
  places.hand_over();
  crew->placement.move_away(helper);
  helper.detach();
}

// Returns when all tiles are done, by this thread and by the helpers that began in time.
void work_together(Job& job, Places& places) {
  const auto crew = std::make_shared<Crew>(places.helpers());
  try {
    for (int worker = 1; worker <= places.helpers(); ++worker) begin_helper(job, worker, places, crew);
  } catch (...) {  // no more threads, or no memory for one: those that run do all the tiles
  }
  crew->placed.count_down();
  job.work(0, [&] { crew->meet([&job] { job.advance(); }); });
  crew->close();
}

}  // namespace

bool is_forked() { return forked.load(); }

int worker_count(std::int64_t tiles, int threads) {
  return static_cast<int>(std::clamp<std::int64_t>(tiles, 1, std::max(threads, 1)));
}

void parallel_phases(std::int64_t phases, const std::function<std::int64_t(std::int64_t)>& tiles, int threads,
                     const Body& body) {
  if (phases < 1) return;
  std::int64_t most = 0;
  for (std::int64_t phase = 0; phase < phases; ++phase) most = std::max(most, tiles(phase));
  Job job(phases, tiles, body);
  Places places(worker_count(most, threads));
  if (places.helpers() > 0) {
    work_together(job, places);
  } else {
    job.work(0, [&job] { job.advance(); });
  }
  job.rethrow();
}

void parallel_for(std::int64_t tiles, int threads, const std::function<void(std::int64_t, int)>& body) {
  parallel_phases(
      1, [tiles](std::int64_t) { return tiles; }, threads,
      [&body](std::int64_t, std::int64_t tile, int worker) { body(tile, worker); });
}

}  // namespace layer_fast
