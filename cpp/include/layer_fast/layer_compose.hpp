// Inputs with some layers' content replaced: one for every coalition of layers that keep theirs.
#pragma once

#include "layer_fast/array.hpp"

namespace layer_fast {

// image: float32 (C, z, y, x). labels: uint8 (z, y, x). coalitions: bool (N, R). out: float32 (N, C, z, y, x).
// fill: float32 (C, R), one value per channel and layer, or (C, z, y, x), a whole image.
// A label that has no column in coalitions is an error; out then holds no meaning.
void layer_compose(const ArrayView& image, const ArrayView& labels, const ArrayView& coalitions, const ArrayView& fill,
                   const ArrayView& out, Place place);

}  // namespace layer_fast
