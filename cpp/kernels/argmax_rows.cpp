#include "kernels/argmax_rows.hpp"

#include <cstddef>

#include "kernels/lanes.hpp"
#include "kernels/x_taps.hpp"

#if defined(__SSSE3__)
#include <tmmintrin.h>
#endif

namespace layer_fast::kernels::LF_ISA {
namespace {

constexpr std::int32_t kInfinityBits = 0x7f800000;

bool all_finite(const float* values, std::int64_t n) {
  std::int32_t most = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto bits = static_cast<std::int32_t>(__builtin_bit_cast(std::uint32_t, values[i]) & 0x7fffffffu);
    most = most > bits ? most : bits;
  }
  return most < kInfinityBits;
}

// One group of lanes: read(k) gives class k's logits. The largest magnitudes' bits so far are kept in `most`.
template <class Read>
inline void decide_group(Read read, int classes, Ints& most, std::uint8_t* __restrict label) {
  Floats best = read(0), second = fill(-__builtin_inff());
  Ints largest = magnitude_bits(best), winner = fill_int(0);
  for (int k = 1; k < classes; ++k) {
    const Floats v = read(k);
    second = larger(second, smaller(best, v));
    largest = larger(largest, magnitude_bits(v));
    take_larger(v, k, best, winner);
  }
  most = larger(most, largest);
  const Floats needed = fill(kDecidedRelative) * as_floats(largest) + fill(kDecidedAbsolute);
  std::int32_t code[kLanes];
  store(code, where_greater(best - second, needed, winner, fill_int(kOpen)));
  for (int i = 0; i < kLanes; ++i) label[i] = static_cast<std::uint8_t>(code[i]);
}

bool finite_bits(Ints most) {
  std::int32_t bits[kLanes];
  store(bits, most);
  for (const std::int32_t b : bits) {
    if (b >= kInfinityBits) return false;
  }
  return true;
}

bool decide(const float* row, std::int64_t stride, int classes, std::int64_t n, std::uint8_t* label) {
  Ints most = fill_int(0);
  const bool done = for_groups(n, [&](std::int64_t x) {
    decide_group([&](int k) { return load(row + k * stride + x); }, classes, most, label + x);
  });
  if (done) return finite_bits(most);
  std::uint8_t few[kLanes];
  const auto padded = [&](int k) {
    float values[kLanes] = {};
    for (std::int64_t x = 0; x < n; ++x) values[x] = row[k * stride + x];
    return load(values);
  };
  decide_group(padded, classes, most, few);
  for (std::int64_t x = 0; x < n; ++x) label[x] = few[x];
  return finite_bits(most);
}

void agree(const std::uint8_t* const rows[4], std::int64_t n, std::uint8_t* __restrict cells) {
  const std::uint8_t *a = rows[0], *b = rows[1], *c = rows[2], *d = rows[3];
  for (std::int64_t i = 0; i < n; ++i) {
    const bool same = ((a[i] ^ b[i]) | (a[i] ^ c[i]) | (a[i] ^ d[i])) == 0;
    cells[i] = same ? a[i] : kOpen;
  }
  cells[n] = cells[n - 1];
  for (std::int64_t i = 0; i < n; ++i) cells[i] = cells[i] == cells[i + 1] ? cells[i] : kOpen;
}

// One group of cells; the largest of them. kOpen is the largest of all.
inline bool spread_group(const std::uint8_t* cells, const std::uint8_t* lane, std::uint8_t* __restrict label) {
#if defined(__SSSE3__)
  const __m128i picked = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(cells)),
                                          _mm_loadu_si128(reinterpret_cast<const __m128i*>(lane)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(label), picked);
  return _mm_movemask_epi8(_mm_cmpeq_epi8(picked, _mm_set1_epi8(static_cast<char>(kOpen)))) != 0;
#else
  unsigned most = 0;
  for (int i = 0; i < kArgmaxGroup; ++i) {
    label[i] = cells[lane[i]];
    most = most > label[i] ? most : label[i];
  }
  return most == kOpen;
#endif
}

std::int64_t spread(const std::uint8_t* cells, const std::int32_t* base, const std::uint8_t* lane, std::int64_t groups,
                    std::uint8_t* label, std::int32_t* open) {
  std::int64_t count = 0;
  for (std::int64_t g = 0; g < groups; ++g) {
    open[count] = static_cast<std::int32_t>(g);
    count += spread_group(cells + base[g], lane + g * kArgmaxGroup, label + g * kArgmaxGroup) ? 1 : 0;
  }
  return count;
}

template <XReach Reach, int Width>
void largest_of(const XPlan& given, const float* rows, std::int64_t stride, int classes, const std::int32_t* groups,
                std::int64_t count, std::uint8_t* __restrict label) {
  const XPlan plan = given;
  constexpr std::int64_t parts = kArgmaxGroup / kLanes;
  for (std::int64_t i = 0; i < count; ++i) {
    std::int32_t winners[kArgmaxGroup] = {};
    for (std::int64_t part = 0; part < parts; ++part) {
      const std::int64_t group = groups[i] * parts + part;
      if (group >= plan.groups) break;
      Floats best = group_of<Reach, Width>(plan, rows, group);
      Ints winner = fill_int(0);
      for (int k = 1; k < classes; ++k) {
        take_larger(group_of<Reach, Width>(plan, rows + k * stride, group), k, best, winner);
      }
      store(winners + part * kLanes, winner);
    }
    const std::int64_t x0 = groups[i] * kArgmaxGroup;
    std::uint8_t bytes[kArgmaxGroup];
    for (int x = 0; x < kArgmaxGroup; ++x) bytes[x] = static_cast<std::uint8_t>(winners[x]);
    const std::int64_t few = plan.n - x0 < kArgmaxGroup ? plan.n - x0 : kArgmaxGroup;
    __builtin_memcpy(label + x0, bytes, static_cast<std::size_t>(few));
  }
}

template <XReach Reach>
void with_width(const XPlan& plan, const float* rows, std::int64_t stride, int classes, const std::int32_t* groups,
                std::int64_t count, std::uint8_t* label) {
  if (plan.width == 1) return largest_of<Reach, 1>(plan, rows, stride, classes, groups, count, label);
  return largest_of<Reach, 2>(plan, rows, stride, classes, groups, count, label);
}

void largest(const XPlan& plan, const float* rows, std::int64_t stride, int classes, const std::int32_t* groups,
             std::int64_t count, std::uint8_t* label) {
  switch (plan.reach) {
    case XReach::four: return with_width<XReach::four>(plan, rows, stride, classes, groups, count, label);
    case XReach::eight: return with_width<XReach::eight>(plan, rows, stride, classes, groups, count, label);
    case XReach::window: return with_width<XReach::window>(plan, rows, stride, classes, groups, count, label);
    case XReach::windows: return with_width<XReach::windows>(plan, rows, stride, classes, groups, count, label);
    case XReach::far: return with_width<XReach::far>(plan, rows, stride, classes, groups, count, label);
  }
}

}  // namespace

const ArgmaxRows argmax_rows{all_finite, decide, agree, spread, largest};

}  // namespace layer_fast::kernels::LF_ISA
