#include "runtime/cache.hpp"

#include <algorithm>

#ifdef __linux__
#include <unistd.h>
#endif

namespace layer_fast {
namespace {

std::int64_t ask() {
  std::int64_t bytes = 0;
#if defined(__linux__) && defined(_SC_LEVEL3_CACHE_SIZE)
  bytes = static_cast<std::int64_t>(sysconf(_SC_LEVEL3_CACHE_SIZE));
#endif
  constexpr std::int64_t mib = 1 << 20;
  return bytes > 0 ? std::clamp(bytes, 4 * mib, 64 * mib) : 32 * mib;
}

}  // namespace

std::int64_t last_level_cache_bytes() {
  static const std::int64_t bytes = ask();
  return bytes;
}

}  // namespace layer_fast
