#include "runtime/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

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

}  // namespace

int worker_count(std::int64_t tiles, int threads) {
  return static_cast<int>(std::clamp<std::int64_t>(tiles, 1, std::max(threads, 1)));
}

void parallel_for(std::int64_t tiles, int threads, const std::function<void(std::int64_t, int)>& body) {
  Job job(tiles, body);
  std::vector<std::thread> helpers;
  const int workers = worker_count(tiles, threads);
  helpers.reserve(static_cast<std::size_t>(workers));
  for (int worker = 1; worker < workers; ++worker) {
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
