// parallel_for: every tile once, workers in range, the lowest tile's exception, callers side by side.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "runtime/parallel.hpp"

namespace {

int failures = 0;

void check(bool holds, const char* what) {
  if (holds) return;
  std::printf("failed: %s\n", what);
  ++failures;
}

void every_tile_once(int threads) {
  std::vector<std::atomic<int>> seen(1000);
  std::atomic<bool> in_range{true};
  layer_fast::parallel_for(1000, threads, [&](std::int64_t tile, int worker) {
    ++seen[static_cast<std::size_t>(tile)];
    if (worker < 0 || worker >= layer_fast::worker_count(1000, threads)) in_range = false;
  });
  bool once = true;
  for (const auto& count : seen) once = once && count == 1;
  check(once, "every tile runs once");
  check(in_range, "worker is below worker_count");
}

void lowest_exception(int threads) {
  std::string text;
  try {
    layer_fast::parallel_for(500, threads, [](std::int64_t tile, int) {
      if (tile % 100 == 37) throw std::runtime_error(std::to_string(tile));
    });
  } catch (const std::runtime_error& error) {
    text = error.what();
  }
  check(text == "37", "the exception of the lowest tile comes back");
}

// Eight callers of two threads: at most eight callers and one helper run at a time.
void helpers_are_shared() {
  std::atomic<int> now{0}, most{0};
  std::vector<std::thread> callers;
  const int limit = 8 + std::max(layer_fast::resolve_threads(0), 2) - 1;
  for (int c = 0; c < 8; ++c) {
    callers.emplace_back([&] {
      layer_fast::parallel_for(200, 2, [&](std::int64_t, int) {
        const int here = ++now;
        for (int seen = most.load(); here > seen && !most.compare_exchange_weak(seen, here);) {
        }
        std::this_thread::sleep_for(std::chrono::microseconds(50));
        --now;
      });
    });
  }
  for (auto& caller : callers) caller.join();
  check(most <= limit, "callers side by side share the helpers");
}

}  // namespace

int main() {
  helpers_are_shared();
  for (int round = 0; round < 50; ++round) {
    for (const int threads : {1, 2, 7, 64}) {
      every_tile_once(threads);
      lowest_exception(threads);
    }
  }
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c) callers.emplace_back([] { lowest_exception(3); });
  for (auto& caller : callers) caller.join();
  layer_fast::parallel_for(0, 4, [](std::int64_t, int) { check(false, "no tiles, no calls"); });
  check(layer_fast::resolve_threads(3) == 3, "a request is taken as it is");
  check(layer_fast::resolve_threads(0) >= 1, "the default is at least one thread");
  return failures == 0 ? 0 : 1;
}
