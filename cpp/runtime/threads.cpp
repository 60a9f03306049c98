// How many threads this process may use.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "layer_fast/error.hpp"
#include "runtime/parallel.hpp"

#ifdef __linux__
#include <sched.h>
#endif

namespace layer_fast {
namespace {

int affinity_threads() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(CPU_COUNT(&set), 1);
#endif
  return std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
}

// "max 100000" or "150000 100000" in cpu.max of one cgroup (version 2); 0 where nothing is said.
int quota_threads(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 0;
  const double cores = std::strtod(quota.c_str(), nullptr) / period;
  return cores > 0 ? std::max(static_cast<int>(cores + 0.5), 1) : 0;
}

// The smallest quota from the process's own cgroup up to the root.
int cgroup_threads(int most) {
  const std::string root = "/sys/fs/cgroup";
  std::string path;  // below the root; empty where version 2 is not mounted
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (line.rfind("0::", 0) == 0) path = line.substr(3);
  }
  while (true) {
    if (const int threads = quota_threads(root + path); threads > 0) most = std::min(most, threads);
    if (path.empty() || path.front() != '/') return most;
    path.erase(path.find_last_of('/'));
  }
}

}  // namespace

int resolve_threads(int requested) {
  if (requested > 0) return requested;
  if (const char* text = std::getenv("LAYER_FAST_THREADS"); text != nullptr && *text != '\0') {
    char* end = nullptr;
    const long threads = std::strtol(text, &end, 10);
    if (*end != '\0' || threads < 1 || threads > 4096) {
      refuse("threads", "LAYER_FAST_THREADS to be a number from 1 to 4096", std::string("'") + text + "'");
    }
    return static_cast<int>(threads);
  }
  if (is_forked()) return 1;
  static const int available = cgroup_threads(affinity_threads());  // file reads: once a process
  return available;
}

}  // namespace layer_fast
