#include "kernels/resample_rows.hpp"

#include <cstddef>
#include <limits>

#include "kernels/lanes.hpp"
#include "kernels/x_taps.hpp"
#include "ops/resample_voxel.hpp"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace layer_fast::kernels::LF_ISA {
namespace {

// ---- rows combined over z or y ----

// weight[0] * rows[0] + weight[1] * rows[1] + ... at one voxel or one group of lanes.
template <int Width, class T, class Read>
inline auto sum_of(const T* const* rows, const float* weight, Read read) {
  auto sum = read(weight[0], rows[0]);
  for (int t = 1; t < Width; ++t) sum = sum + read(weight[t], rows[t]);
  return sum;
}

template <int Width, class T>
void combine_fixed(const T* const* all_rows, const float* all_weights, std::int64_t n, float* __restrict out) {
  const T* rows[Width];
  float weight[Width];
  for (int t = 0; t < Width; ++t) rows[t] = all_rows[t], weight[t] = all_weights[t];
  const bool done = for_groups(n, [&](std::int64_t x) {
    store(out + x, sum_of<Width>(rows, weight, [x](float w, const T* row) { return fill(w) * load(row + x); }));
  });
  for (std::int64_t x = 0; !done && x < n; ++x) {
    out[x] = sum_of<Width>(rows, weight, [x](float w, const T* row) { return w * static_cast<float>(row[x]); });
  }
}

// Further taps, two at a time, onto what is there: the same order of additions.
template <class T>
void add_taps(const T* const* rows, const float* weight, int width, std::int64_t n, float* __restrict out) {
  int t = 0;
  for (; t + 1 < width; t += 2) {
    const T* __restrict r0 = rows[t];
    const T* __restrict r1 = rows[t + 1];
    const float w0 = weight[t], w1 = weight[t + 1];
    for (std::int64_t x = 0; x < n; ++x) {
      out[x] = (out[x] + w0 * static_cast<float>(r0[x])) + w1 * static_cast<float>(r1[x]);
    }
  }
  if (t == width) return;
  const T* __restrict row = rows[t];
  const float w = weight[t];
  for (std::int64_t x = 0; x < n; ++x) out[x] += w * static_cast<float>(row[x]);
}

template <class T>
void combine(const void* const* untyped, const float* weight, int width, std::int64_t n, float* out) {
  const auto* rows = reinterpret_cast<const T* const*>(untyped);
  switch (width) {
    case 1: return combine_fixed<1>(rows, weight, n, out);
    case 2: return combine_fixed<2>(rows, weight, n, out);
    case 3: return combine_fixed<3>(rows, weight, n, out);
    case 4: return combine_fixed<4>(rows, weight, n, out);
    case 5: return combine_fixed<5>(rows, weight, n, out);
    case 6: return combine_fixed<6>(rows, weight, n, out);
    default: break;
  }
  combine_fixed<6>(rows, weight, n, out);
  add_taps(rows + 6, weight + 6, width - 6, n, out);
}

// The lines of memory that the row `ahead` voxels after this one will need. Rows of two planes in turn are more than
// the hardware's own guess follows.
template <class T>
inline void ask_for(const T* row, std::int64_t n, std::int64_t ahead) {
  const char* next = reinterpret_cast<const char*>(row + ahead);
  for (std::int64_t b = 0; b < n * static_cast<std::int64_t>(sizeof(T)); b += 64) __builtin_prefetch(next + b);
}

// Two taps over z inside two over y at once: for rows of which no other output row has a use.
template <class T>
void cross(const void* const* untyped, const float* wz, const float* wy, std::int64_t n, std::int64_t ahead, float* __restrict out) {
  const auto* rows = reinterpret_cast<const T* const*>(untyped);
  const T *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
  const float z0 = wz[0], z1 = wz[1], y0 = wy[0], y1 = wy[1];
  for (int t = 0; ahead > 0 && t < 4; ++t) ask_for(rows[t], n, ahead);
  const bool done = for_groups(n, [=](std::int64_t x) {
    const Floats first = fill(z0) * load(r0 + x) + fill(z1) * load(r1 + x);
    const Floats second = fill(z0) * load(r2 + x) + fill(z1) * load(r3 + x);
    store(out + x, fill(y0) * first + fill(y1) * second);
  });
  for (std::int64_t x = 0; !done && x < n; ++x) {
    const float first = z0 * static_cast<float>(r0[x]) + z1 * static_cast<float>(r1[x]);
    const float second = z0 * static_cast<float>(r2[x]) + z1 * static_cast<float>(r3[x]);
    out[x] = y0 * first + y1 * second;
  }
}

// ---- along x ----

template <XReach Reach, int Width>
void groups(const XPlan& given, const float* row, float* __restrict out) {
  const XPlan plan = given;  // a copy, which no store to `out` can change: its members stay in registers
  const std::int64_t whole = plan.n / kLanes;
  for (std::int64_t g = 0; g < whole; ++g) store(out + g * kLanes, group_of<Reach, Width>(plan, row, g));
  if (whole * kLanes == plan.n) return;
  float last[kLanes];
  store(last, group_of<Reach, Width>(plan, row, whole));
  for (std::int64_t x = whole * kLanes; x < plan.n; ++x) out[x] = last[x - whole * kLanes];
}

template <XReach Reach>
void with_width(const XPlan& plan, const float* row, float* out) {
  switch (plan.width) {
    case 1: return groups<Reach, 1>(plan, row, out);
    case 2: return groups<Reach, 2>(plan, row, out);
    case 4: return groups<Reach, 4>(plan, row, out);
    default: return groups<Reach, 0>(plan, row, out);
  }
}

void along_x(const XPlan& plan, const float* row, float* out) {
  switch (plan.reach) {
    case XReach::four: return with_width<XReach::four>(plan, row, out);
    case XReach::eight: return with_width<XReach::eight>(plan, row, out);
    case XReach::window: return with_width<XReach::window>(plan, row, out);
    case XReach::windows: return with_width<XReach::windows>(plan, row, out);
    case XReach::far: return with_width<XReach::far>(plan, row, out);
  }
}

// ---- nearest ----

#if defined(__SSSE3__)

void pick_u8(const std::uint8_t* row, const std::uint8_t* next, const PickPlan& plan, std::uint8_t* out) {
  ask_for(next, plan.n_in, 0);
  const auto part = [&](std::int64_t half) {
    const __m128i lane = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(plan.lane + half * 8));
    return _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row + plan.base[half])), lane);
  };
  std::int64_t x = 0;
  for (; x + 16 <= plan.n; x += 16) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + x), _mm_unpacklo_epi64(part(x / 8), part(x / 8 + 1)));
  }
  for (; x < plan.n; ++x) out[x] = row[plan.base[x / 8] + plan.lane[x]];
}

#else

void pick_u8(const std::uint8_t* row, const std::uint8_t*, const PickPlan& plan, std::uint8_t* out) {
  for (std::int64_t x = 0; x < plan.n; ++x) out[x] = row[plan.base[x / 8] + plan.lane[x]];
}

#endif

// ---- past the cache ----

void stream(const float* from, float* to, std::int64_t n) {
#if defined(__SSE2__)
  for (std::int64_t i = 0; i < n; i += 4) _mm_stream_ps(to + i, _mm_load_ps(from + i));
#else
  __builtin_memcpy(to, from, static_cast<std::size_t>(n) * sizeof(float));
#endif
}

void stream_end() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

// ---- to the output's dtype ----

// voxel::windowed by lanes; the rest of a row by itself.
void window(float* row, std::int64_t n, float lo, float hi) {
  std::int64_t x = 0;
  for (; x + kLanes <= n; x += kLanes) {
    const Floats v = (load(row + x) - fill(lo)) / fill(hi - lo);
    store(row + x, larger(fill(0), smaller(fill(1), v)));
  }
  for (; x < n; ++x) row[x] = voxel::windowed(row[x], lo, hi);
}

// voxel::saturated by lanes.
template <class Out>
void convert(const float* __restrict row, std::int64_t n, void* untyped) {
  Out* __restrict out = static_cast<Out*>(untyped);
  constexpr auto low = static_cast<float>(std::numeric_limits<Out>::min());
  constexpr auto high = static_cast<float>(std::numeric_limits<Out>::max());
  constexpr std::int64_t chunk = 32;
  const Floats magic = fill(12582912.0f);  // voxel::round_half_even
  std::int64_t x = 0;
  for (; x + chunk <= n; x += chunk) {
    std::int32_t whole[chunk];
    for (std::int64_t i = 0; i < chunk; i += kLanes) {
      const Floats v = larger(fill(low), smaller(fill(high), load(row + x + i)));
      store(whole + i, to_ints((v + magic) - magic));
    }
    for (std::int64_t i = 0; i < chunk; ++i) out[x + i] = static_cast<Out>(whole[i]);
  }
  for (; x < n; ++x) out[x] = static_cast<Out>(static_cast<std::int32_t>(voxel::saturated(row[x], low, high)));
}

}  // namespace

const ResampleRows resample_rows{
    {combine<std::uint8_t>, cross<std::uint8_t>},
    {combine<std::int16_t>, cross<std::int16_t>},
    {combine<std::uint16_t>, cross<std::uint16_t>},
    {combine<float>, cross<float>},
    kLanes,
    kHalves,
    along_x,
    pick_u8,
    stream,
    stream_end,
    window,
    convert<std::uint8_t>,
    convert<std::int16_t>,
    convert<std::uint16_t>};

}  // namespace layer_fast::kernels::LF_ISA
