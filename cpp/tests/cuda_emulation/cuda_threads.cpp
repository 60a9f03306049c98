#include "cuda_threads.hpp"

#include <ucontext.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

#include "cuda_runtime.h"

uint3 blockIdx{};
dim3 blockDim, gridDim;

namespace layer_fast::emulated {

Thread* current = nullptr;
unsigned char* shared_memory = nullptr;

namespace {

constexpr std::size_t kStack = 256 << 10;
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kGuard = 0;  // the sanitizer's own zones begin at the last byte, for reads too
#else
constexpr std::size_t kGuard = 64;
#endif
constexpr std::uint64_t kCanary = 0x5afe5afe5afe5afeULL;

// The lanes that exchange under one mask: how often each has, and what it gave in the last two.
struct Group {
  std::array<unsigned, 32> turns{};
  std::array<std::array<std::uint64_t, 32>, 2> given{};
};

struct Fiber {
  ucontext_t context{};
  std::unique_ptr<char[]> stack{new char[kStack]};
  bool idle = true;
};

struct Running : Thread {
  enum State { fresh, waiting, done } state = fresh;
  Fiber* fiber = nullptr;
  std::function<bool()> may_go_on;
};

std::mutex one_launch;
std::int64_t launches = 0;
std::map<const void*, std::size_t> allowed;
std::vector<std::unique_ptr<Fiber>> fibers;
std::vector<Running> threads;
std::vector<int> order;
std::vector<std::map<unsigned, Group>> warps;
std::size_t next_fresh = 0;
std::int64_t arrived = 0, generation = 0;
const std::function<void()>* kernel_body = nullptr;
ucontext_t scheduler;
cudaError_t last_error = cudaSuccess;

// A fiber takes one fresh thread after the other, so kernels whose threads never wait need only one.
void fiber_main(unsigned high, unsigned low) {
  auto* self = reinterpret_cast<Fiber*>(static_cast<std::uintptr_t>(high) << 32 | low);
  for (;;) {
    while (next_fresh < order.size()) {
      Running& thread = threads[static_cast<std::size_t>(order[next_fresh++])];
      thread.fiber = self;
      current = &thread;
      (*kernel_body)();
      thread.state = Running::done;
    }
    self->idle = true;
    swapcontext(&self->context, &scheduler);
  }
}

Fiber& idle_fiber() {
  for (auto& fiber : fibers) {
    if (fiber->idle) return *fiber;
  }
  Fiber& made = *fibers.emplace_back(std::make_unique<Fiber>());
  getcontext(&made.context);
  made.context.uc_stack.ss_sp = made.stack.get();
  made.context.uc_stack.ss_size = kStack;
  const auto address = reinterpret_cast<std::uintptr_t>(&made);
  makecontext(&made.context, reinterpret_cast<void (*)()>(fiber_main), 2, static_cast<unsigned>(address >> 32),
              static_cast<unsigned>(address));
  return made;
}

void wait_until(std::function<bool()> may_go_on) {
  auto& thread = static_cast<Running&>(*current);
  thread.state = Running::waiting;
  thread.may_go_on = std::move(may_go_on);
  swapcontext(&thread.fiber->context, &scheduler);
}

void resume(Fiber& fiber, Running* thread) {
  fiber.idle = false;
  current = thread;
  swapcontext(&scheduler, &fiber.context);
}

void put_in_order(std::vector<int>& numbers) {
  std::iota(numbers.begin(), numbers.end(), 0);
  const char* wanted = std::getenv("LAYER_FAST_EMULATED_ORDER");
  if (wanted == nullptr || std::strcmp(wanted, "forward") == 0) return;
  if (std::strcmp(wanted, "reversed") == 0) return std::reverse(numbers.begin(), numbers.end());
  std::uint64_t state = 88172645463325252ULL;
  for (std::size_t i = numbers.size(); i > 1; --i) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    std::swap(numbers[i - 1], numbers[state % i]);
  }
}

// False where threads wait for what can no longer happen.
bool run_block() {
  next_fresh = 0;
  arrived = 0;
  for (Running& thread : threads) thread.state = Running::fresh;
  for (auto& warp : warps) warp.clear();
  while (next_fresh < order.size()) resume(idle_fiber(), nullptr);
  for (bool moved = true; moved;) {
    moved = false;
    for (const int number : order) {
      Running& thread = threads[static_cast<std::size_t>(number)];
      if (thread.state != Running::waiting || !thread.may_go_on()) continue;
      resume(*thread.fiber, &thread);
      moved = true;
    }
  }
  return std::all_of(threads.begin(), threads.end(), [](const Running& t) { return t.state == Running::done; });
}

void set_threads(dim3 block) {
  threads.assign(static_cast<std::size_t>(block.x) * block.y * block.z, {});
  for (std::size_t i = 0; i < threads.size(); ++i) {
    const auto n = static_cast<unsigned>(i);
    threads[i].index = {n % block.x, n / block.x % block.y, n / block.x / block.y};
    threads[i].number = static_cast<int>(i);
  }
  order.resize(threads.size());
  put_in_order(order);
  warps.assign((threads.size() + 31) / 32, {});
}

bool possible(const void* kernel, dim3 grid, dim3 block, std::size_t shared) {
  const auto most = allowed.contains(kernel) ? allowed[kernel] : std::size_t{48} << 10;
  const auto product = static_cast<std::uint64_t>(block.x) * block.y * block.z;
  return product >= 1 && product <= 1024 && block.z <= 64 && grid.x >= 1 && grid.y >= 1 && grid.z >= 1 &&
         grid.x <= 0x7fffffffu && grid.y <= 65535 && grid.z <= 65535 && shared <= most;
}

}  // namespace

void allow_shared(const void* kernel, std::size_t bytes) {
  const std::lock_guard lock(one_launch);
  allowed[kernel] = bytes;
}

void barrier() {
  const std::int64_t now = generation;
  if (++arrived == static_cast<std::int64_t>(threads.size())) {
    arrived = 0;
    ++generation;
    return;
  }
  wait_until([now] { return generation != now; });
}

const std::uint64_t* exchange(unsigned mask, std::uint64_t bits) {
  const unsigned mine = lane();
  Group& group = warps[static_cast<std::size_t>(current->number / 32)][mask];
  const unsigned turn = ++group.turns[mine];
  group.given[turn % 2][mine] = bits;
  const auto all_here = [&group, mask, turn] {
    for (unsigned i = 0; i < 32; ++i) {
      if ((mask >> i & 1u) != 0 && group.turns[i] < turn) return false;
    }
    return true;
  };
  if ((mask >> mine & 1u) == 0) wait_until([] { return false; });  // not allowed: the launch ends with an error
  if (!all_here()) wait_until(all_here);
  return group.given[turn % 2].data();
}

int run_grid(const void* kernel, dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& body) {
  const std::lock_guard lock(one_launch);
  ++launches;
  if (!possible(kernel, grid, block, shared_bytes)) return last_error = cudaErrorInvalidConfiguration;
  blockDim = block;
  gridDim = grid;
  kernel_body = &body;
  set_threads(block);
  std::vector<int> blocks(static_cast<std::size_t>(grid.x) * grid.y * grid.z);
  put_in_order(blocks);
  void* memory = nullptr;  // made anew for each block: sanitizers know its ends, and nothing is left from another
  for (const int b : blocks) {
    if (shared_bytes > 0 && posix_memalign(&memory, 128, shared_bytes) != 0) return last_error = cudaErrorMemoryAllocation;
    if (memory != nullptr) std::memset(memory, 0xff, shared_bytes);
    shared_memory = static_cast<unsigned char*>(memory);
    const auto n = static_cast<unsigned>(b);
    blockIdx = {n % grid.x, n / grid.x % grid.y, n / grid.x / grid.y};
    const bool whole = run_block();
    std::free(memory);
    if (whole) continue;
    std::fprintf(stderr, "emulated CUDA: threads of a block wait for others that have ended or never come\n");
    fibers.clear();  // some stand in the middle of a kernel
    return last_error = cudaErrorLaunchFailure;
  }
  return cudaSuccess;
}

}  // namespace layer_fast::emulated

// For tests, which find it in the module by its name.
extern "C" __attribute__((visibility("default"))) std::int64_t layer_fast_emulated_launches() {
  return layer_fast::emulated::launches;
}

// ---- memory, with words before and after it that no kernel may change ----

using layer_fast::emulated::kCanary;
using layer_fast::emulated::kGuard;

cudaError_t cudaMallocAsync(void** memory, std::size_t bytes, cudaStream_t) {
  void* begin = nullptr;
  if (posix_memalign(&begin, 256, 256 + bytes + kGuard) != 0) return cudaErrorMemoryAllocation;
  auto* whole = static_cast<unsigned char*>(begin);
  std::memcpy(whole, &bytes, sizeof bytes);
  std::memset(whole + 256, 0xff, bytes);
  for (std::size_t i = 0; i < kGuard; i += 8) {
    std::memcpy(whole + 256 - kGuard + i, &kCanary, 8);
    std::memcpy(whole + 256 + bytes + i, &kCanary, 8);
  }
  *memory = whole + 256;
  return cudaSuccess;
}

cudaError_t cudaFreeAsync(void* memory, cudaStream_t) {
  auto* data = static_cast<unsigned char*>(memory);
  std::size_t bytes = 0;
  std::memcpy(&bytes, data - 256, sizeof bytes);
  for (std::size_t i = 0; i < kGuard; i += 8) {
    if (std::memcmp(data - kGuard + i, &kCanary, 8) != 0 || std::memcmp(data + bytes + i, &kCanary, 8) != 0) {
      std::fprintf(stderr, "emulated CUDA: a kernel wrote outside of its scratch memory of %zu bytes\n", bytes);
      std::abort();
    }
  }
  std::free(data - 256);
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  return std::exchange(layer_fast::emulated::last_error, cudaSuccess);
}

const char* cudaGetErrorString(cudaError_t status) {
  switch (status) {
    case cudaSuccess: return "no error";
    case cudaErrorNoDevice: return "emulated on the CPU for tests: no GPU";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorLaunchFailure: return "unspecified launch failure";
    case cudaErrorInvalidValue: return "invalid argument";
  }
  return "unknown error";
}
