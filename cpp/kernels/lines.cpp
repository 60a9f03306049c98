#include "kernels/lines.hpp"

#include "kernels/vectors.hpp"
#include "ops/normalize_voxel.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

constexpr std::int64_t kAhead = 1024;  // voxels that are fetched early

// kWide voxels; the same as normalize_voxel, NaN included.
template <class T, bool kClip>
Doubles scaled(const T* in, const Line& line) {
  const Doubles zero = {}, value = (widen(in) - line.shift) * line.factor;
  return kClip ? min_of(zero + 1.0, max_of(zero, value)) : value;
}

template <class T, bool kClip>
void one_by_one(const T* in, std::int64_t n, const Line& line, float* out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = normalize_voxel(in[i], line.shift, line.factor, kClip);
}

template <class T, bool kClip>
void run_as(const T* in, std::int64_t n, const Line& given, float* out, bool past_caches) {
  const Line line = given;
  std::int64_t i = until_aligned(out, n);
  one_by_one<T, kClip>(in, i, line, out);
  for (; i + kFull <= n; i += kFull) {
    __builtin_prefetch(in + i + kAhead);
    const Floats value = narrow(scaled<T, kClip>(in + i, line), scaled<T, kClip>(in + i + kWide, line));
    past_caches ? stream(out + i, value) : store_as(out + i, value);
  }
  one_by_one<T, kClip>(in + i, n - i, line, out + i);
  if (past_caches) done_streaming();
}

template <class T>
void run(const void* untyped, std::int64_t n, const Line& line, float* out, bool past_caches) {
  const T* in = static_cast<const T*>(untyped);
  line.clip ? run_as<T, true>(in, n, line, out, past_caches) : run_as<T, false>(in, n, line, out, past_caches);
}

// ---- bytes: half the vectors, as floats hold twice as many ----

template <class Value>  // float or Floats
Value byte_line(Value in, const ByteLine& line) {
  return (in * line.factor - line.shift) + (in * line.rest - line.rest_shift);
}

float byte_voxel(float in, const Line& line) {
  float value = byte_line(in, line.bytes);
  if (!line.clip) return value;
  value = value < 0.0f ? 0.0f : value;
  return value > 1.0f ? 1.0f : value;
}

void split(Line& line) {
  // 16 bits of the factor times 8 bits of a byte, and a shift in the same unit: no rounding in the first bracket.
  const int exponent = __builtin_ilogb(line.factor);
  const double unit = __builtin_ldexp(1.0, exponent - 15);
  const double factor = __builtin_rint(line.factor / unit) * unit, whole = line.shift * line.factor;
  const double shift = __builtin_rint(whole / unit) * unit;
  line.bytes = {static_cast<float>(factor), static_cast<float>(shift), static_cast<float>(line.factor - factor),
                static_cast<float>(whole - shift)};
  line.bytes_alike = true;
  for (int byte = 0; byte < 256; ++byte) {
    const float want = normalize_voxel(byte, line.shift, line.factor, line.clip);
    const float got = byte_voxel(static_cast<float>(byte), line);
    line.bytes_alike &= __builtin_bit_cast(std::uint32_t, want) == __builtin_bit_cast(std::uint32_t, got);
  }
}

template <bool kClip, bool kPast>
void run_bytes_as(const std::uint8_t* in, std::int64_t n, const Line& given, float* out) {
  const Line line = given;
  const Floats zero = {}, one = zero + 1.0f;
  std::int64_t i = until_aligned(out, n);
  for (std::int64_t j = 0; j < i; ++j) out[j] = byte_voxel(in[j], line);
  for (; i + kFull <= n; i += kFull) {
    __builtin_prefetch(in + i + kAhead);
    Floats value = byte_line(floats_of(in + i), line.bytes);
    if constexpr (kClip) value = min_of(one, max_of(zero, value));
    kPast ? stream(out + i, value) : store_as(out + i, value);
  }
  for (; i < n; ++i) out[i] = byte_voxel(in[i], line);
  if (kPast) done_streaming();
}

void run_bytes(const void* untyped, std::int64_t n, const Line& line, float* out, bool past_caches) {
  const auto* in = static_cast<const std::uint8_t*>(untyped);
  if (!line.bytes_alike) return run<std::uint8_t>(in, n, line, out, past_caches);
  const auto past = line.clip ? run_bytes_as<true, true> : run_bytes_as<false, true>;
  const auto near = line.clip ? run_bytes_as<true, false> : run_bytes_as<false, false>;
  (past_caches ? past : near)(in, n, line, out);
}

}  // namespace

const Lines lines{run_bytes, run<std::int16_t>, run<std::uint16_t>, run<float>, split};

}  // namespace layer_fast::kernels::LF_ISA
