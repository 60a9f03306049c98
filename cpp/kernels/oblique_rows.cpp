#include "kernels/oblique_rows.hpp"

#include "ops/oblique_voxel.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace layer_fast::kernels::LF_ISA {
namespace {

#if defined(__AVX2__)

// Rows are done in runs: first where all voxels read and with which weights, axis by axis, then the sums. Neither loop
// waits for the other's long chain of operations.
constexpr std::int64_t kRun = 128;

struct Run {
  alignas(32) std::int64_t at[kRun];  // the lower corner; until all axes have added their part, 2^52 more, as a double
  alignas(32) float low[3][kRun], high[3][kRun];
};

// One axis along an output row.
struct Axis {
  double plane, step, offset;  // the coordinate is (plane + step * x) + offset, in this order
  double last, most;           // the last voxel, and the last one that has a neighbour behind it
  double stride;               // voxels from one to the next; 0 where there is one only

  double operator()(std::int64_t x) const { return (plane + step * static_cast<double>(x)) + offset; }
};

inline Axis axis_of(const double* map, std::int64_t z, std::int64_t y, std::int64_t n, std::int64_t stride) {
  return {map[0] * static_cast<double>(z) + map[1] * static_cast<double>(y), map[2], map[3], static_cast<double>(n - 1),
          static_cast<double>(n > 1 ? n - 2 : 0), static_cast<double>(n > 1 ? stride : 0)};
}

// Whether output voxels first ... last have both taps inside. Rounding keeps order, so the ends speak for all.
inline bool inside(const Axis& a, std::int64_t first, std::int64_t last) {
  const double from = a(first), to = a(last);
  return from >= 0 && to >= 0 && from < a.last && to < a.last;
}

// Two taps of four voxels: coordinate, clamp and triangle kernel with the rounding of voxel::taps_at. The pair always
// lies in the volume: at its last voxel it starts one before, and 1 - (at - start) is 0 there as it should be. That is
// the distance to the upper tap as well, which therefore weighs 1 minus it.
template <bool Inside>
inline void four(const Axis& axis, __m256d x, __m256d& start, __m128& low, __m128& high) {
  const auto all = [](double v) { return _mm256_set1_pd(v); };
  __m256d at = _mm256_add_pd(_mm256_add_pd(all(axis.plane), _mm256_mul_pd(all(axis.step), x)), all(axis.offset));
  if constexpr (!Inside) at = _mm256_min_pd(_mm256_max_pd(at, _mm256_setzero_pd()), all(axis.last));
  start = _mm256_floor_pd(at);
  if constexpr (!Inside) start = _mm256_min_pd(start, all(axis.most));
  const __m256d far = _mm256_sub_pd(all(1), _mm256_sub_pd(at, start));
  low = _mm256_cvtpd_ps(far);
  high = _mm256_cvtpd_ps(_mm256_sub_pd(all(1), far));
}

// Weights of one axis for `groups` times eight voxels, and its share of where they read.
template <bool Inside>
void add_axis(const Axis& given, std::int64_t first, std::int64_t groups, bool from_zero, double* at, float* low,
              float* high) {
  const Axis axis = given;
  const bool turns = axis.step != 0;
  __m256d x = _mm256_add_pd(_mm256_set1_pd(static_cast<double>(first)), _mm256_setr_pd(0, 1, 2, 3));
  __m256d start[2] = {_mm256_setzero_pd(), _mm256_setzero_pd()};
  __m128 l[2] = {_mm_setzero_ps(), _mm_setzero_ps()}, h[2] = {_mm_setzero_ps(), _mm_setzero_ps()};
  for (std::int64_t i = 0; i < 8 * groups; i += 8) {
    for (int half = 0; half < 2; ++half, x = _mm256_add_pd(x, _mm256_set1_pd(4))) {
      if (turns || i == 0) {
        four<Inside>(axis, x, start[half], l[half], h[half]);
        start[half] = _mm256_mul_pd(start[half], _mm256_set1_pd(axis.stride));
      }
      double* to = at + i + 4 * half;
      const __m256d before = from_zero ? _mm256_set1_pd(0x1p52) : _mm256_load_pd(to);
      _mm256_store_pd(to, _mm256_add_pd(before, start[half]));
      _mm_store_ps(low + i + 4 * half, l[half]);
      _mm_store_ps(high + i + 4 * half, h[half]);
    }
  }
}

struct Pair {
  __m256 low, high;  // the two neighbours along x of eight voxels
};

inline __m128 two_pairs(const float* a, const float* b) {
  return _mm_loadh_pi(_mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(a))),
                      reinterpret_cast<const __m64*>(b));
}

inline Pair pairs(const float* p, const std::int64_t* at) {
  const __m256 even = _mm256_set_m128(two_pairs(p + at[4], p + at[5]), two_pairs(p + at[0], p + at[1]));
  const __m256 odd = _mm256_set_m128(two_pairs(p + at[6], p + at[7]), two_pairs(p + at[2], p + at[3]));
  return {_mm256_shuffle_ps(even, odd, 0x88), _mm256_shuffle_ps(even, odd, 0xdd)};
}

template <class Word>
inline int word(const void* p) {
  Word value;
  __builtin_memcpy(&value, p, sizeof(Word));
  return static_cast<int>(value);
}

inline Pair pairs(const std::uint8_t* p, const std::int64_t* at) {
  const auto read = [&](int i) { return static_cast<short>(word<std::uint16_t>(p + at[i])); };
  const __m256i both = _mm256_cvtepu16_epi32(
      _mm_setr_epi16(read(0), read(1), read(2), read(3), read(4), read(5), read(6), read(7)));
  return {_mm256_cvtepi32_ps(_mm256_and_si256(both, _mm256_set1_epi32(255))),
          _mm256_cvtepi32_ps(_mm256_srli_epi32(both, 8))};
}

template <class T>
inline __m256i words(const T* p, const std::int64_t* at) {
  const auto read = [&](int i) { return word<std::uint32_t>(p + at[i]); };
  return _mm256_setr_epi32(read(0), read(1), read(2), read(3), read(4), read(5), read(6), read(7));
}

inline Pair pairs(const std::uint16_t* p, const std::int64_t* at) {
  const __m256i both = words(p, at);
  return {_mm256_cvtepi32_ps(_mm256_and_si256(both, _mm256_set1_epi32(0xffff))),
          _mm256_cvtepi32_ps(_mm256_srli_epi32(both, 16))};
}

inline Pair pairs(const std::int16_t* p, const std::int64_t* at) {
  const __m256i both = words(p, at);
  return {_mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(both, 16), 16)),
          _mm256_cvtepi32_ps(_mm256_srai_epi32(both, 16))};
}

// The eight corners of eight voxels, named by what is far: the upper tap of z, of y.
struct Corners {
  Pair near, z, y, zy;
};

// weight * voxel along z, then y, then x. Masked: a tap of weight 0 adds nothing, whatever its voxel holds.
template <bool Masked>
inline __m256 sum_of(const Corners& c, const Run& run, std::int64_t i) {
  const auto term = [](const float* weight, __m256 v) {
    const __m256 w = _mm256_load_ps(weight), product = _mm256_mul_ps(w, v);
    return Masked ? _mm256_and_ps(product, _mm256_cmp_ps(w, _mm256_setzero_ps(), _CMP_NEQ_OQ)) : product;
  };
  const auto blend = [&](int axis, __m256 low, __m256 high) {
    return _mm256_add_ps(term(run.low[axis] + i, low), term(run.high[axis] + i, high));
  };
  const __m256 low = blend(1, blend(0, c.near.low, c.z.low), blend(0, c.y.low, c.zy.low));
  const __m256 high = blend(1, blend(0, c.near.high, c.z.high), blend(0, c.y.high, c.zy.high));
  return _mm256_add_ps(_mm256_setzero_ps(), blend(2, low, high));  // sums start at 0: no -0 comes out
}

// T's voxels at run.at[i ... i + 7] and around them, summed.
template <class T>
inline __m256 eight(const T* p, std::int64_t over_z, std::int64_t over_y, const Run& run, std::int64_t i) {
  const std::int64_t* at = run.at + i;
  const Corners c{pairs(p, at), pairs(p + over_z, at), pairs(p + over_y, at), pairs(p + over_z + over_y, at)};
  const __m256 sum = sum_of<false>(c, run, i);
  if constexpr (sizeof(T) < 4) return sum;  // integers times 0 are 0
  // Weight 0 times NaN or infinity is NaN, and NaN stays: where there is none, no tap was to be masked.
  if (_mm256_movemask_ps(_mm256_cmp_ps(sum, sum, _CMP_UNORD_Q)) == 0) [[likely]] return sum;
  return sum_of<true>(c, run, i);
}

// How many voxels further the output row reads, about, whose lines are asked for while this one is computed: hardware
// foresees no rows that cross the volume, and memory takes longer than one row of sums.
std::int64_t rows_ahead(const ObliqueVolume& v) {
  constexpr double rows = 4;
  const auto steps = [](double d, std::int64_t n) {
    const auto most = static_cast<double>(n);
    return static_cast<std::int64_t>(d > most ? most : d < -most ? -most : d < 0 ? d - 0.5 : d + 0.5);
  };
  return (steps(rows * v.map[1], v.nz) * v.ny + steps(rows * v.map[5], v.ny)) * v.nx + steps(rows * v.map[9], v.nx);
}

// Whole numbers as doubles plus 2^52 -> 64-bit integers; and the lines `ahead` of them are asked for.
template <class T>
void ask_for(const T* p, std::int64_t ahead, std::int64_t over_z, std::int64_t over_y, std::int64_t groups,
             std::int64_t* at) {
  const auto ask = [p](std::int64_t voxel) {  // by its number: it may lie outside, where nothing is asked for
    __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::intptr_t>(p) +
                                                     voxel * static_cast<std::int64_t>(sizeof(T))));
  };
  const __m256i magic = _mm256_castpd_si256(_mm256_set1_pd(0x1p52));
  for (std::int64_t i = 0; i < 8 * groups; i += 8) {
    for (int half = 0; half < 8; half += 4) {
      auto* four = reinterpret_cast<__m256i*>(at + i + half);
      _mm256_store_si256(four, _mm256_xor_si256(_mm256_load_si256(four), magic));
    }
    for (int lane = 0; lane < 8; lane += 4) {
      const std::int64_t corner = at[i + lane] + ahead;
      ask(corner);
      ask(corner + over_y);
      ask(corner + over_z);
      ask(corner + over_z + over_y);
    }
  }
}

template <class T>
void linear(const ObliqueVolume& v, std::int64_t z, std::int64_t y, std::int64_t n, float* out) {
  const T* p = static_cast<const T*>(v.data);
  const std::int64_t plane = v.ny * v.nx, over_z = v.nz > 1 ? plane : 0, over_y = v.ny > 1 ? v.nx : 0;
  const Axis axes[3] = {axis_of(v.map, z, y, v.nz, plane), axis_of(v.map + 4, z, y, v.ny, v.nx),
                        axis_of(v.map + 8, z, y, v.nx, 1)};
  Run run;
  for (std::int64_t x = 0; x < n; x += kRun, out += kRun) {
    const std::int64_t count = n - x < kRun ? n - x : kRun, groups = (count + 7) / 8;
    for (int a = 0; a < 3; ++a) {
      const auto add = inside(axes[a], x, x + 8 * groups - 1) ? add_axis<true> : add_axis<false>;
      add(axes[a], x, groups, a == 0, reinterpret_cast<double*>(run.at), run.low[a], run.high[a]);
    }
    ask_for(p, rows_ahead(v), over_z, over_y, groups, run.at);
    std::int64_t i = 0;
    for (; i + 8 <= count; i += 8) _mm256_storeu_ps(out + i, eight(p, over_z, over_y, run, i));
    if (i == count) continue;
    alignas(32) float rest[8];
    _mm256_store_ps(rest, eight(p, over_z, over_y, run, i));
    for (std::int64_t j = i; j < count; ++j) out[j] = rest[j - i];
  }
}

#else

template <class T>
float one(const ObliqueVolume& volume, std::int64_t z, std::int64_t y, std::int64_t x) {
  const double* map = volume.map;
  const auto taps_z = voxel::taps_at(voxel::mapped(map, z, y, x), volume.nz, Interpolation::linear);
  const auto taps_y = voxel::taps_at(voxel::mapped(map + 4, z, y, x), volume.ny, Interpolation::linear);
  const auto taps_x = voxel::taps_at(voxel::mapped(map + 8, z, y, x), volume.nx, Interpolation::linear);
  return voxel::sum_taps(static_cast<const T*>(volume.data), volume.ny, volume.nx, taps_z, taps_y, taps_x);
}

template <class T>
void linear(const ObliqueVolume& v, std::int64_t z, std::int64_t y, std::int64_t n, float* out) {
  for (std::int64_t x = 0; x < n; ++x) out[x] = one<T>(v, z, y, x);
}

#endif

}  // namespace

const ObliqueRows oblique_rows{linear<std::uint8_t>, linear<std::int16_t>, linear<std::uint16_t>, linear<float>};

}  // namespace layer_fast::kernels::LF_ISA
