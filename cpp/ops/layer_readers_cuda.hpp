// Device: how a half of a warp walks through one tile of layer_reduce, a chunk at a time. Lane j of a half owns the
// voxels i with i % kReduceLanes == j, in order: so a lane's sums are added in the CPU's order. A chunk is one voxel a
// lane from each of kSteps groups; its loads are independent, which is what keeps the memory busy. All lanes of a warp
// call read() together.
#pragma once

#include "ops/layer_reduce_accum.hpp"
#include "ops/map_source_cuda.hpp"

namespace layer_fast::impl {

inline constexpr int kSteps = 16;                     // groups in a chunk
inline constexpr int kChunk = kSteps * kReduceLanes;  // voxels

// Where a half stands: map k, one tile, `voxels` of it (0: there is none), a lane.
struct TilePlace {
  std::int64_t k, tile;
  int voxels, lane;
  __device__ std::int64_t first() const { return tile * kReduceTile; }
};

// A map (or weights) on the labels' own grid.
class DenseReader {
 public:
  struct Shared {};
  __device__ DenseReader(const MapSource& source, Shared&, const TilePlace& place)
      : DenseReader(source.map(place.k), place) {}
  __device__ DenseReader(const float* map, const TilePlace& place)
      : from_(map + place.first() + place.lane), voxels_(place.voxels - place.lane) {}
  __device__ void read(int chunk, float* values) {
    const int start = chunk * kChunk;
    if (start + (kSteps - 1) * kReduceLanes < voxels_) {
#pragma unroll
      for (int g = 0; g < kSteps; ++g) values[g] = from_[start + g * kReduceLanes];
    } else {
#pragma unroll
      for (int g = 0; g < kSteps; ++g) {
        values[g] = start + g * kReduceLanes < voxels_ ? from_[start + g * kReduceLanes] : 0.0f;
      }
    }
  }

 private:
  const float* from_;
  int voxels_;
};

// A coarse aligned map: its rows, combined over z and y, are kept in shared memory, one for every line of labels that a
// chunk meets. So a voxel costs two reads and one blend, not eight and seven.
class RowsReader {
 public:
  static constexpr int kLines = 4, kColumns = 128;
  struct Shared {
    float rows[2][kLines][kColumns];
  };
  // A chunk meets kLines lines at most.
  static bool fits(std::int64_t nx, std::int64_t mx) { return mx <= kColumns && (kLines - 1) * nx > kChunk - 2; }

  __device__ RowsReader(const MapSource& source, Shared& shared, const TilePlace& place)
      : source_(source), map_(source.map(place.k)), place_(place), rows_(shared.rows[threadIdx.x / kReduceLanes]) {
    line_ = place.first() / source.nx;
    x_ = static_cast<int>(place.first() % source.nx);
    filled_ = line_;
  }

  // Chunks are read in order.
  __device__ void read(int chunk, float* values) {
    const int start = chunk * kChunk;
    const int here = place_.voxels - start < kChunk ? place_.voxels - start : kChunk;
    __syncwarp();  // all have read what is overwritten now
    for (; here > 0 && filled_ <= line_ + (x_ + here - 1) / source_.nx; ++filled_) fill(filled_);
    __syncwarp();
#pragma unroll
    for (int g = 0; g < kSteps; ++g) {
      const int at = g * kReduceLanes + place_.lane;
      values[g] = at < here ? value(x_ + at) : 0.0f;
    }
    for (x_ += kChunk; x_ >= source_.nx; x_ -= source_.nx) ++line_;
  }

 private:
  __device__ void fill(std::int64_t line) {
    const MapLine rows = line_of(source_, map_, static_cast<std::int32_t>(line / source_.ny),
                                 static_cast<std::int32_t>(line % source_.ny));
    for (int m = place_.lane; m < source_.mx; m += kReduceLanes) rows_[line % kLines][m] = column_of(rows, m);
  }
  // x counts on from the start of line_.
  __device__ float value(int x) const {
    const int n = source_.nx, further = (x >= n) + (x >= 2 * n) + (x >= 3 * n), column = x - further * n;
    const float* row = rows_[(line_ + further) % kLines];
    return blend(row[source_.x.low[column]], row[source_.x.high[column]], source_.x.t[column]);
  }

  const MapSource& source_;
  const float* map_;
  TilePlace place_;
  float (*rows_)[kColumns];
  std::int64_t line_, filled_;  // of the chunk's first voxel; rows below `filled_` are there
  int x_;
};

// Any map, voxel by voxel.
class VoxelReader {
 public:
  struct Shared {};
  __device__ VoxelReader(const MapSource& source, Shared&, const TilePlace& place)
      : source_(source), map_(source.map(place.k)), place_(place) {}
  __device__ void read(int chunk, float* values) {
    for (int g = 0; g < kSteps; ++g) {
      const int at = chunk * kChunk + g * kReduceLanes + place_.lane;
      values[g] = at < place_.voxels ? map_value(source_, map_, place_.first() + at) : 0.0f;
    }
  }

 private:
  const MapSource& source_;
  const float* map_;
  TilePlace place_;
};

}  // namespace layer_fast::impl
