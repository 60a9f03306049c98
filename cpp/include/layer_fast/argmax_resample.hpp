// The class of the largest logit on another grid, without logits of that grid in memory.
#pragma once

#include <optional>

#include "layer_fast/array.hpp"
#include "layer_fast/resample.hpp"

namespace layer_fast {

// logits: f32 (classes, z, y, x), at most 256 classes, all finite. out: u8 (z, y, x). Linear interpolation; ties go to
// the lowest class.
void argmax_resample(const ArrayView& logits, const ArrayView& out, const std::optional<GridMap>& grid_map, Place place);

}  // namespace layer_fast
