// CUDA: layer_compose. Labels, image and fill are read once and every coalition is written from registers, 16 bytes a
// thread where the voxels of a channel are a multiple of four. Moved: 4 bytes a voxel and channel for every coalition
// (writes), and once 4 for the image, 4 for a whole image of fill, 1 for the label. Limit: the card's writes.
#include <algorithm>

#include "layer_fast/error.hpp"
#include "ops/layer_compose_impl.hpp"
#include "ops/layer_compose_voxel.hpp"
#include "runtime/cuda/cuda_queue.hpp"

namespace layer_fast::impl {
namespace {

constexpr const char* kOp = "layer_compose";
constexpr int kThreads = 256, kSetsAtOnce = 64, kWords = 8;  // 256 labels are bits of eight words

struct ComposeTask {
  const float* image;
  const std::uint8_t* labels;
  const bool* coalitions;
  const float* fill;
  bool fill_is_image;
  std::int64_t channels, voxels, sets;
  int rows;
  float* out;
  int* highest;
};

template <class T, int kWidth>
struct alignas(kWidth * sizeof(T)) Packed {
  T at[kWidth];
};

// Which layers keep their content, in each coalition of this block.
__device__ void take_sets(const ComposeTask& task, std::int64_t first, int sets, std::uint32_t (*kept)[kWords]) {
  for (int i = static_cast<int>(threadIdx.x); i < sets * kWords; i += kThreads) {
    const bool* keep = task.coalitions + (first + i / kWords) * task.rows;
    std::uint32_t word = 0;
    for (int bit = 0; bit < 32; ++bit) {
      const int label = i % kWords * 32 + bit;
      if (label < task.rows && keep[label]) word |= 1u << bit;
    }
    kept[i / kWords][i % kWords] = word;
  }
}

// A thread: kWidth voxels of one channel, for up to kSetsAtOnce coalitions.
template <int kWidth>
__global__ void compose_voxels(ComposeTask task) {
  __shared__ std::uint32_t kept[kSetsAtOnce][kWords];
  const std::int64_t first_set = std::int64_t{blockIdx.z} * kSetsAtOnce, channel = blockIdx.y;
  const int sets = static_cast<int>(task.sets - first_set < kSetsAtOnce ? task.sets - first_set : kSetsAtOnce);
  take_sets(task, first_set, sets, kept);
  __syncthreads();
  const std::int64_t start = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kWidth;
  if (start >= task.voxels) return;
  using Vector = Packed<float, kWidth>;
  const auto image = *reinterpret_cast<const Vector*>(task.image + channel * task.voxels + start);
  Vector fill;
  if (task.fill_is_image) fill = *reinterpret_cast<const Vector*>(task.fill + channel * task.voxels + start);
  const auto labels = *reinterpret_cast<const Packed<std::uint8_t, kWidth>*>(task.labels + start);
  int word[kWidth], highest = 0;
  std::uint32_t own[kWidth];
  for (int i = 0; i < kWidth; ++i) {
    const int label = labels.at[i];
    highest = label > highest ? label : highest;
    word[i] = label / 32;
    own[i] = label_bit(static_cast<std::uint8_t>(label % 32));
    if (!task.fill_is_image) fill.at[i] = label < task.rows ? task.fill[channel * task.rows + label] : 0.0f;
  }
  if (highest >= task.rows) atomicMax(task.highest, highest);
  float* to = task.out + (first_set * task.channels + channel) * task.voxels + start;
  for (int set = 0; set < sets; ++set, to += task.channels * task.voxels) {
    Vector result;
    for (int i = 0; i < kWidth; ++i) result.at[i] = compose_voxel(own[i], kept[set][word[i]], image.at[i], fill.at[i]);
    *reinterpret_cast<Vector*>(to) = result;
  }
}

template <int kWidth>
void run(cuda::Queue& queue, const ComposeTask& task) {
  const unsigned sets = std::max(cuda::blocks_for(task.sets, kSetsAtOnce), 1u);  // labels are checked without any too
  const dim3 grid(cuda::blocks_for(task.voxels, kThreads * kWidth), static_cast<unsigned>(task.channels), sets);
  queue.run(compose_voxels<kWidth>, grid, dim3(kThreads), 0, task);
}

bool fits_wide(const ComposeTask& task) {
  auto together = reinterpret_cast<std::uintptr_t>(task.image) | reinterpret_cast<std::uintptr_t>(task.out);
  if (task.fill_is_image) together |= reinterpret_cast<std::uintptr_t>(task.fill);
  const auto labels = reinterpret_cast<std::uintptr_t>(task.labels);
  return task.voxels % 4 == 0 && labels % 4 == 0 && together % alignof(Packed<float, 4>) == 0;
}

}  // namespace

void layer_compose_cuda(const ArrayView& image, const ArrayView& labels, const ArrayView& coalitions,
                        const ArrayView& fill, const ArrayView& out, std::uintptr_t stream) {
  cuda::Queue queue(kOp, image, stream);
  const auto highest = queue.zeros<int>(1);
  const ComposeTask task{image.in<float>(kOp), labels.in<std::uint8_t>(kOp), coalitions.in<bool>(kOp),
                         fill.in<float>(kOp), fill.axes == 4, image.shape[0], labels.size(), coalitions.shape[0],
                         static_cast<int>(coalitions.shape[1]), out.out<float>(kOp), highest.data()};
  if (task.channels == 0 || task.voxels == 0) return;
  fits_wide(task) ? run<4>(queue, task) : run<1>(queue, task);
  const int found = queue.read(highest.data(), 1)[0];
  expects(found < task.rows, kOp, "labels below the " + std::to_string(task.rows) + " columns of coalitions",
          "label " + std::to_string(found));
}

}  // namespace layer_fast::impl
