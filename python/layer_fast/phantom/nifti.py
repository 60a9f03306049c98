"""One phantom volume as the bytes of a NIfTI file, the same every time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def nifti_bytes(array: NDArray[Any], affine_zyx: NDArray[np.float64]) -> bytes:
    """Return a gzipped NIfTI-1 file of `array` (z, y, x); `affine_zyx` maps (z, y, x) -> mm, RAS+.

    The file's index is (x, y, z), so the buffer is the array's own C order. No clock time goes into the bytes.
    """
    import deflate
    import nibabel

    make: Any = nibabel.Nifti1Image  # untyped
    image = make(array.transpose(2, 1, 0), affine_zyx[:, [2, 1, 0, 3]])
    image.header.set_xyzt_units("mm")
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    image.header["descrip"] = b"layer_fast phantom"
    return bytes(deflate.gzip_compress(image.to_bytes(), 6))
