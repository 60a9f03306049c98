// One affine change of intensities, with or without clipping to [0, 1].
#pragma once

#include "layer_fast/array.hpp"

namespace layer_fast {

// out = (volume - shift) / scale, then clipped to [0, 1] if `clip`; NaN stays NaN. volume: u8, i16, u16 or f32;
// out: f32 of the same shape, may be the volume itself. Computed in float64, rounded once.
void normalize(const ArrayView& volume, const ArrayView& out, double shift, double scale, bool clip, Place place);

}  // namespace layer_fast
