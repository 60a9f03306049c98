// Work over tiles that the data alone decides. See Note [Same bytes for any number of threads] in cpp/README.md.
#pragma once

#include <cstdint>
#include <functional>

namespace layer_fast {

// Threads for one call: `requested` if positive, else LAYER_FAST_THREADS, else what affinity and cgroup allow; else 1 in a
// forked child, which is one worker of several (a data loader's).
// A LAYER_FAST_THREADS that is no positive number is a std::invalid_argument.
int resolve_threads(int requested);

// True in a child that was forked and runs on, without exec.
bool is_forked();

// How many workers parallel_for will use at most, for scratch memory per worker.
int worker_count(std::int64_t tiles, int threads);

// Calls body(tile, worker) once for every tile in [0, tiles), worker in [0, worker_count(tiles, threads)).
// Returns when all are done. If tiles throw, the exception of the lowest one is thrown here.
// Helpers are begun for one call, and it does not wait for one that has not begun when the tiles are done: nothing
// survives a fork, and any number of callers may come at once: together they get as many helpers as one of them alone
// would, so that a busy process is not made busier.
void parallel_for(std::int64_t tiles, int threads, const std::function<void(std::int64_t tile, int worker)>& body);

// The same phase after phase: calls body(phase, tile, worker) once for every tile in [0, tiles(phase)), and no tile of a
// phase begins before those of the phase before are done. The threads are started once and sleep while they wait. If tiles
// throw, no later phase begins.
void parallel_phases(std::int64_t phases, const std::function<std::int64_t(std::int64_t phase)>& tiles, int threads,
                     const std::function<void(std::int64_t phase, std::int64_t tile, int worker)>& body);

}  // namespace layer_fast
