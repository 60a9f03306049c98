#include "kernels/oblique_rows.hpp"

#include "ops/oblique_voxel.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace layer_fast::kernels::LF_ISA {
namespace {

template <class T>
float one(const ObliqueVolume& volume, std::int64_t z, std::int64_t y, std::int64_t x) {
  const double* map = volume.map;
  const auto taps_z = voxel::taps_at(voxel::mapped(map, z, y, x), volume.nz, Interpolation::linear);
  const auto taps_y = voxel::taps_at(voxel::mapped(map + 4, z, y, x), volume.ny, Interpolation::linear);
  const auto taps_x = voxel::taps_at(voxel::mapped(map + 8, z, y, x), volume.nx, Interpolation::linear);
  return voxel::sum_taps(static_cast<const T*>(volume.data), volume.ny, volume.nx, taps_z, taps_y, taps_x);
}

#if defined(__AVX2__)

// Two taps along one axis for four voxels. Indices are whole numbers in double: exact, and 64 bits wide when turned.
struct Taps4 {
  __m256d low, high;
  __m128 low_weight, high_weight;
};

// Coordinate, clamp, floor and triangle kernel, operation by operation as in voxel::taps_at.
inline Taps4 taps4(const double* row, double plane, __m256d x, std::int64_t n) {
  const __m256d one = _mm256_set1_pd(1), last = _mm256_set1_pd(static_cast<double>(n - 1));
  const __m256d moved = _mm256_add_pd(_mm256_add_pd(_mm256_set1_pd(plane), _mm256_mul_pd(_mm256_set1_pd(row[2]), x)),
                                      _mm256_set1_pd(row[3]));
  const __m256d at = _mm256_min_pd(_mm256_max_pd(moved, _mm256_setzero_pd()), last);
  const __m256d low = _mm256_floor_pd(at), next = _mm256_add_pd(low, one);
  const __m256d far = _mm256_sub_pd(next, at);  // how far the upper tap is away
  const __m256d counts = _mm256_cmp_pd(far, one, _CMP_LT_OQ);
  return {low, _mm256_min_pd(next, last), _mm256_cvtpd_ps(_mm256_sub_pd(one, _mm256_sub_pd(at, low))),
          _mm256_cvtpd_ps(_mm256_and_pd(counts, _mm256_sub_pd(one, far)))};
}

// Whole numbers from 0 to 2^52 as 64-bit integers.
inline __m256i whole(__m256d v) {
  const __m256d magic = _mm256_set1_pd(0x1p52);
  return _mm256_xor_si256(_mm256_castpd_si256(_mm256_add_pd(v, magic)), _mm256_castpd_si256(magic));
}

// Where eight voxels read: the lower corner, and how far the upper taps of y and z lie behind it.
struct Corners {
  alignas(32) std::int64_t at[8], over_y[8], over_z[8];
};

struct Weights {
  __m256 low, high;
};

inline Weights joined(const Taps4& a, const Taps4& b) {
  return {_mm256_set_m128(b.low_weight, a.low_weight), _mm256_set_m128(b.high_weight, a.high_weight)};
}

// Along x both voxels are read at once, so the pair starts at n - 2 at most; there the upper one has all the weight.
inline Taps4 paired(Taps4 taps, std::int64_t n) {
  const __m256d start = _mm256_min_pd(taps.low, _mm256_set1_pd(static_cast<double>(n - 2)));
  const __m256i edge = _mm256_castpd_si256(_mm256_cmp_pd(start, taps.low, _CMP_NEQ_OQ));
  const __m128 moved = _mm_castsi128_ps(_mm256_castsi256_si128(
      _mm256_permutevar8x32_epi32(edge, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6))));
  taps.low = start;
  taps.high_weight = _mm_blendv_ps(taps.high_weight, taps.low_weight, moved);
  taps.low_weight = _mm_andnot_ps(moved, taps.low_weight);
  return taps;
}

inline void corners4(const ObliqueVolume& v, const Taps4& z, const Taps4& y, const Taps4& x, Corners& to, int first) {
  const __m256d row = _mm256_set1_pd(static_cast<double>(v.nx));
  const __m256d plane = _mm256_set1_pd(static_cast<double>(v.ny * v.nx));
  const __m256d at = _mm256_add_pd(_mm256_add_pd(_mm256_mul_pd(z.low, plane), _mm256_mul_pd(y.low, row)), x.low);
  const auto put = [](std::int64_t* p, __m256d d) { _mm256_store_si256(reinterpret_cast<__m256i*>(p), whole(d)); };
  put(to.at + first, at);
  put(to.over_y + first, _mm256_mul_pd(_mm256_sub_pd(y.high, y.low), row));
  put(to.over_z + first, _mm256_mul_pd(_mm256_sub_pd(z.high, z.low), plane));
}

struct Pair {
  __m256 low, high;  // the two neighbours along x of eight voxels
};

inline __m128 two_pairs(const float* a, const float* b) {
  return _mm_loadh_pi(_mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(a))),
                      reinterpret_cast<const __m64*>(b));
}

template <class At>
inline Pair pairs(const float* p, At at) {
  const __m256 even = _mm256_set_m128(two_pairs(p + at(4), p + at(5)), two_pairs(p + at(0), p + at(1)));
  const __m256 odd = _mm256_set_m128(two_pairs(p + at(6), p + at(7)), two_pairs(p + at(2), p + at(3)));
  return {_mm256_shuffle_ps(even, odd, 0x88), _mm256_shuffle_ps(even, odd, 0xdd)};
}

template <class Word>
inline int word(const void* p) {
  Word value;
  __builtin_memcpy(&value, p, sizeof(Word));
  return static_cast<int>(value);
}

template <class At>
inline Pair pairs(const std::uint8_t* p, At at) {
  const auto read = [&](int i) { return static_cast<short>(word<std::uint16_t>(p + at(i))); };
  const __m256i both = _mm256_cvtepu16_epi32(
      _mm_setr_epi16(read(0), read(1), read(2), read(3), read(4), read(5), read(6), read(7)));
  return {_mm256_cvtepi32_ps(_mm256_and_si256(both, _mm256_set1_epi32(255))),
          _mm256_cvtepi32_ps(_mm256_srli_epi32(both, 8))};
}

template <class T, class At>
inline __m256i words(const T* p, At at) {
  const auto read = [&](int i) { return word<std::uint32_t>(p + at(i)); };
  return _mm256_setr_epi32(read(0), read(1), read(2), read(3), read(4), read(5), read(6), read(7));
}

template <class At>
inline Pair pairs(const std::uint16_t* p, At at) {
  const __m256i both = words(p, at);
  return {_mm256_cvtepi32_ps(_mm256_and_si256(both, _mm256_set1_epi32(0xffff))),
          _mm256_cvtepi32_ps(_mm256_srli_epi32(both, 16))};
}

template <class At>
inline Pair pairs(const std::int16_t* p, At at) {
  const __m256i both = words(p, at);
  return {_mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(both, 16), 16)),
          _mm256_cvtepi32_ps(_mm256_srai_epi32(both, 16))};
}

// a.low * low + a.high * high, where a tap of weight 0 adds nothing, whatever its voxel holds.
inline __m256 blend(const Weights& a, __m256 low, __m256 high) {
  const __m256 zero = _mm256_setzero_ps();
  const auto term = [zero](__m256 w, __m256 v) {
    return _mm256_and_ps(_mm256_mul_ps(w, v), _mm256_cmp_ps(w, zero, _CMP_NEQ_OQ));
  };
  return _mm256_add_ps(term(a.low, low), term(a.high, high));
}

// How many voxels further the next output row reads, about: its lines are asked for while this row is computed, since
// rows that cross the volume are nothing that hardware foresees.
std::int64_t next_row(const ObliqueVolume& v) {
  const auto steps = [](double d, std::int64_t n) {
    const auto most = static_cast<double>(n);
    return static_cast<std::int64_t>(d > most ? most : d < -most ? -most : d < 0 ? d - 0.5 : d + 0.5);
  };
  return (steps(v.map[1], v.nz) * v.ny + steps(v.map[5], v.ny)) * v.nx + steps(v.map[9], v.nx);
}

template <class T>
inline void ask_for(const T* p, std::int64_t ahead, const Corners& c, int i) {
  const auto ask = [&](std::int64_t voxel) {  // by its number: it may lie outside, where nothing is asked for
    __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::intptr_t>(p) +
                                                     voxel * static_cast<std::int64_t>(sizeof(T))));
  };
  const std::int64_t at = c.at[i] + ahead;
  ask(at);
  ask(at + c.over_y[i]);
  ask(at + c.over_z[i]);
  ask(at + c.over_z[i] + c.over_y[i]);
}

template <class T>
inline __m256 eight(const ObliqueVolume& v, const double plane[3], std::int64_t x, std::int64_t ahead) {
  const __m256d first = _mm256_add_pd(_mm256_set1_pd(static_cast<double>(x)), _mm256_setr_pd(0, 1, 2, 3));
  const __m256d second = _mm256_add_pd(first, _mm256_set1_pd(4));
  const Taps4 z0 = taps4(v.map, plane[0], first, v.nz), z1 = taps4(v.map, plane[0], second, v.nz);
  const Taps4 y0 = taps4(v.map + 4, plane[1], first, v.ny), y1 = taps4(v.map + 4, plane[1], second, v.ny);
  const Taps4 x0 = paired(taps4(v.map + 8, plane[2], first, v.nx), v.nx);
  const Taps4 x1 = paired(taps4(v.map + 8, plane[2], second, v.nx), v.nx);
  Corners c;
  corners4(v, z0, y0, x0, c, 0);
  corners4(v, z1, y1, x1, c, 4);
  const T* p = static_cast<const T*>(v.data);
  ask_for(p, ahead, c, 0);
  ask_for(p, ahead, c, 5);
  const Pair near = pairs(p, [&](int i) { return c.at[i]; });
  const Pair below = pairs(p, [&](int i) { return c.at[i] + c.over_z[i]; });
  const Pair right = pairs(p, [&](int i) { return c.at[i] + c.over_y[i]; });
  const Pair far = pairs(p, [&](int i) { return c.at[i] + c.over_z[i] + c.over_y[i]; });
  const Weights wz = joined(z0, z1), wy = joined(y0, y1), wx = joined(x0, x1);
  const __m256 low = blend(wy, blend(wz, near.low, below.low), blend(wz, right.low, far.low));
  const __m256 high = blend(wy, blend(wz, near.high, below.high), blend(wz, right.high, far.high));
  return _mm256_add_ps(_mm256_setzero_ps(), blend(wx, low, high));  // sums start at 0: no -0 comes out
}

template <class T>
void linear(const ObliqueVolume& v, std::int64_t z, std::int64_t y, std::int64_t n, float* out) {
  double plane[3];
  for (int a = 0; a < 3; ++a) plane[a] = v.map[4 * a] * static_cast<double>(z) + v.map[4 * a + 1] * static_cast<double>(y);
  const std::int64_t ahead = next_row(v);
  std::int64_t x = 0;
  for (; x + 8 <= n; x += 8) _mm256_storeu_ps(out + x, eight<T>(v, plane, x, ahead));
  for (; x < n; ++x) out[x] = one<T>(v, z, y, x);
}

#else

template <class T>
void linear(const ObliqueVolume& v, std::int64_t z, std::int64_t y, std::int64_t n, float* out) {
  for (std::int64_t x = 0; x < n; ++x) out[x] = one<T>(v, z, y, x);
}

#endif

}  // namespace

const ObliqueRows oblique_rows{linear<std::uint8_t>, linear<std::int16_t>, linear<std::uint16_t>, linear<float>};

}  // namespace layer_fast::kernels::LF_ISA
