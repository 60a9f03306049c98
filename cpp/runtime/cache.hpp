// How large the caches are.
#pragma once

#include <cstdint>

namespace layer_fast {

// Of one thread's last level, between 4 and 64 MiB; 32 MiB where the system does not say. Speed may depend on it,
// values may not.
std::int64_t last_level_cache_bytes();

}  // namespace layer_fast
