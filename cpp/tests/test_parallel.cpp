// parallel_for and parallel_phases: every tile once, workers in range, the lowest tile's exception, callers side by side.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

#include "runtime/parallel.hpp"

namespace {

int failures = 0;
thread_local int allocations_left = -1;  // of this thread, before one fails; -1: none does

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

// No tile of a phase before the last one of the phase before; a failure ends the later phases.
void phases_follow_each_other(int threads) {
  constexpr std::int64_t kPhases = 40;
  const auto tiles = [](std::int64_t phase) { return phase % 3 == 1 ? 1 : 5 + phase; };
  std::atomic<std::int64_t> done{0};
  std::atomic<bool> ordered{true};
  layer_fast::parallel_phases(kPhases, tiles, threads, [&](std::int64_t phase, std::int64_t, int) {
    std::int64_t before = 0, with = 0;
    for (std::int64_t p = 0; p < phase; ++p) before += tiles(p);
    with = before + tiles(phase);
    const std::int64_t now = done++;
    if (now < before || now >= with) ordered = false;
  });
  std::int64_t all = 0;
  for (std::int64_t p = 0; p < kPhases; ++p) all += tiles(p);
  check(ordered && done == all, "phases follow each other");
  std::atomic<bool> later{false};
  std::string text;
  try {
    layer_fast::parallel_phases(9, tiles, threads, [&](std::int64_t phase, std::int64_t tile, int) {
      if (phase > 3) later = true;
      if (phase == 3 && tile % 4 == 2) throw std::runtime_error(std::to_string(tile));
    });
  } catch (const std::runtime_error& error) {
    text = error.what();
  }
  check(text == "2" && !later, "a failing phase is the last one");
}

// Eight callers of two threads: at most eight callers and one helper run at a time, as two threads are the default.
void helpers_are_shared() {
  setenv("LAYER_FAST_THREADS", "2", 1);
  std::atomic<int> now{0}, most{0};
  std::vector<std::thread> callers;
  constexpr int limit = 8 + 2 - 1;
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
  unsetenv("LAYER_FAST_THREADS");
  check(most <= limit, "callers side by side share the helpers");
}

// After a rest, when kernels like to keep a new thread where its creator is: the helper's first tile is on another
// processor. The kernel may move either of them later, so a few exceptions are allowed.
void a_helper_begins_elsewhere() {
#ifdef __linux__
  if (layer_fast::resolve_threads(0) < 2) return;
  int together = 0;
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::atomic<int> caller_on{-1}, helper_on{-2};
    layer_fast::parallel_for(400, 2, [&](std::int64_t, int worker) {
      if (worker == 0) caller_on = sched_getcpu();
      if (worker == 1 && helper_on == -2) {
        helper_on = sched_getcpu();
        if (helper_on == caller_on) ++together;
      }
      const auto start = std::chrono::steady_clock::now();
      while (std::chrono::steady_clock::now() - start < std::chrono::microseconds(20)) {
      }
    });
  }
  check(together <= 5, "a helper begins on another processor than its caller");
#endif
}

// Helpers that end before they are moved must not leave the caller with fewer processors.
void the_caller_keeps_its_processors() {
#ifdef __linux__
  cpu_set_t before, after;
  sched_getaffinity(0, sizeof(before), &before);
  for (int round = 0; round < 20000; ++round) layer_fast::parallel_for(2, 2, [](std::int64_t, int) {});
  sched_getaffinity(0, sizeof(after), &after);
  check(CPU_EQUAL(&before, &after), "the caller keeps its processors");
#endif
}

// A helper may begin when the call has failed already, and must not wait for a phase that never comes.
void failures_end_for_late_helpers_too() {
  const auto tiles = [](std::int64_t) { return std::int64_t{3}; };
  int thrown = 0;
  for (int round = 0; round < 5000; ++round) {
    try {
      layer_fast::parallel_phases(4, tiles, 3, [](std::int64_t, std::int64_t, int) { throw std::runtime_error("tile"); });
    } catch (const std::runtime_error&) {
      ++thrown;
    }
  }
  check(thrown == 5000, "a failing call ends, whenever its helpers begin");
}

// Where every processor has other work, a new thread begins milliseconds late. A small call is over by then.
void a_small_call_waits_for_no_one() {
  std::atomic<bool> over{false};
  std::vector<std::thread> others;
  for (int k = 0; k < 2 * layer_fast::resolve_threads(0); ++k) {
    others.emplace_back([&over] {
      while (!over) {
      }
    });
  }
  std::vector<std::chrono::nanoseconds> took;
  for (int round = 0; round < 101; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto start = std::chrono::steady_clock::now();
    layer_fast::parallel_for(2, 2, [](std::int64_t, int) {});
    took.emplace_back(std::chrono::steady_clock::now() - start);
  }
  over = true;
  for (auto& other : others) other.join();
  std::nth_element(took.begin(), took.begin() + 50, took.end());
  std::printf("a small call on a busy machine: %.3f ms\n", static_cast<double>(took[50].count()) / 1e6);
  check(took[50] < std::chrono::milliseconds(1), "a small call on a busy machine does not wait for its helper");
}

// Where there is no memory for one more thread (the nth allocation of the caller fails) the others do all the tiles.
void no_memory_for_a_helper() {
  for (int nth = 0; nth < 20; ++nth) {
    std::vector<std::atomic<int>> seen(64);
    bool refused = false;
    allocations_left = nth;
    try {
      layer_fast::parallel_for(64, 4, [&](std::int64_t tile, int) { ++seen[static_cast<std::size_t>(tile)]; });
    } catch (const std::bad_alloc&) {
      refused = true;
    }
    allocations_left = -1;
    check(refused || std::all_of(seen.begin(), seen.end(), [](const auto& n) { return n == 1; }),
          "every tile runs once without memory for a helper");
  }
}

}  // namespace

void* operator new(std::size_t bytes) {
  if (allocations_left >= 0 && allocations_left-- == 0) throw std::bad_alloc();
  if (void* memory = std::malloc(bytes > 0 ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

int main() {
  a_helper_begins_elsewhere();
  the_caller_keeps_its_processors();
  no_memory_for_a_helper();
  failures_end_for_late_helpers_too();
  a_small_call_waits_for_no_one();
  helpers_are_shared();
  for (int round = 0; round < 50; ++round) {
    for (const int threads : {1, 2, 7, 64}) {
      every_tile_once(threads);
      lowest_exception(threads);
      phases_follow_each_other(threads);
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
