#include "runtime/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#ifdef __unix__
#include <pthread.h>
#endif

namespace layer_fast {
namespace {

struct Job {
  Job(std::int64_t count, const std::function<void(std::int64_t, int)>& what) : tiles(count), body(what) {}

  const std::int64_t tiles;
  const std::function<void(std::int64_t, int)>& body;
  std::atomic<std::int64_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex guard;
  std::int64_t failed_tile = std::numeric_limits<std::int64_t>::max();
  std::exception_ptr failure;

  // Tiles are handed out in order, so every tile below a failing one has been started and will be heard:
  // the lowest failure is the same for any number of threads.
  void work(int worker) noexcept {
    while (!stop.load(std::memory_order_relaxed)) {
      const std::int64_t tile = next.fetch_add(1, std::memory_order_relaxed);
      if (tile >= tiles) return;
      try {
        body(tile, worker);
      } catch (...) {
        const std::scoped_lock lock(guard);
        stop.store(true, std::memory_order_relaxed);
        if (tile < failed_tile) {
          failed_tile = tile;
          failure = std::current_exception();
        }
      }
    }
  }
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

void parallel_for(std::int64_t tiles, int threads, const std::function<void(std::int64_t, int)>& body) {
  Job job(tiles, body);
  std::vector<std::thread> helpers;
  const int workers = worker_count(tiles, threads);
  const Places places(workers);
  helpers.reserve(static_cast<std::size_t>(places.helpers()));
  for (int worker = 1; worker <= places.helpers(); ++worker) {
    try {
      helpers.emplace_back([&job, worker] { job.work(worker); });
    } catch (const std::system_error&) {
      break;  // no more threads to be had: those that run do all the tiles
    }
  }
  job.work(0);
  for (std::thread& helper : helpers) helper.join();
  if (job.failure) std::rethrow_exception(job.failure);
}

}  // namespace layer_fast
