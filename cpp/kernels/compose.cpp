#include "kernels/compose.hpp"

#include "kernels/vectors.hpp"
#include "ops/layer_compose_voxel.hpp"

namespace layer_fast::kernels::LF_ISA {
namespace {

void bits_of(const std::uint8_t* __restrict labels, std::int64_t n, std::uint32_t* __restrict bits) {
  for (std::int64_t i = 0; i < n; ++i) bits[i] = label_bit(labels[i]);
}

void plainly(const std::uint32_t* own, std::uint32_t kept, const float* image, const float* fill, std::int64_t n,
             float* __restrict out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = compose_voxel(own[i], kept, image[i], fill[i]);
}

void compose_tile(const std::uint32_t* own, std::uint32_t kept, const float* image, const float* fill, std::int64_t n,
                  float* out, bool past_caches) {
  if (!past_caches) return plainly(own, kept, image, fill, n, out);
  std::int64_t i = until_aligned(out, n);
  plainly(own, kept, image, fill, i, out);
  const Words zero = {};
  const Words wanted = zero + kept;
  for (; i + kFull <= n; i += kFull) {
    const auto keeps = (load_as<Words>(own + i) & wanted) != zero;
    stream(out + i, keeps ? load_as<Floats>(image + i) : load_as<Floats>(fill + i));
  }
  plainly(own + i, kept, image + i, fill + i, n - i, out + i);
  done_streaming();
}

}  // namespace

const Compose compose{bits_of, compose_tile};

}  // namespace layer_fast::kernels::LF_ISA
