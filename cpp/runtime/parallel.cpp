#include "runtime/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <exception>
#include <latch>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/placement.hpp"

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
    while (true) {
      const bool last = phase_ + 1 == phases_;
      run_tiles(worker);
      if (last) return;
      rendezvous();
      if (over_) return;
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

// Threads of this process inside parallel_for: callers and their helpers.
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

 private:
  int helpers_, taken_ = 0;
};

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
  const Places places(worker_count(most, threads));
  const auto advance = [&job]() noexcept { job.advance(); };
  std::barrier rendezvous(places.helpers() + 1, advance);
  const auto wait = [&rendezvous] { rendezvous.arrive_and_wait(); };
  const Placement placement(places.helpers());
  std::latch placed(1);  // a thread that has ended has no number: moving it would move the caller
  std::vector<std::thread> helpers;
  helpers.reserve(static_cast<std::size_t>(places.helpers()));
  for (int worker = 1; worker <= places.helpers(); ++worker) {
    try {
      helpers.emplace_back([&, worker] {
        placement.release();
        job.work(worker, wait);
        placed.wait();
      });
      placement.move_away(helpers.back());
    } catch (...) {  // no more threads, or no memory for one: those that run do all the tiles
      for (; worker <= places.helpers(); ++worker) rendezvous.arrive_and_drop();
    }
  }
  placed.count_down();
  job.work(0, wait);
  for (std::thread& helper : helpers) helper.join();
  job.rethrow();
}

void parallel_for(std::int64_t tiles, int threads, const std::function<void(std::int64_t, int)>& body) {
  parallel_phases(
      1, [tiles](std::int64_t) { return tiles; }, threads,
      [&body](std::int64_t, std::int64_t tile, int worker) { body(tile, worker); });
}

}  // namespace layer_fast
