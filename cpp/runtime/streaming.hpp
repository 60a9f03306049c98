// When a result is written past the caches.
#pragma once

#include <cstdint>

namespace layer_fast {

// Smaller results are likely to be read from the cache by whoever asked for them; larger ones would only push out what
// the call itself still reads, and reading their lines before writing them costs a third of the traffic.
inline constexpr std::int64_t kStreamBytes = 16 << 20;

}  // namespace layer_fast
