"""Maps and masks made elsewhere: files of one volume or of several channels, labels of any small scheme."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from ..errors import ReadError
from ..types import Volume
from . import nifti, values
from .files import MAX_BYTES
from .reading import format_of


def read_maps(
    path: str | os.PathLike[str], *, max_decoded_bytes: int = MAX_BYTES, allow_shear: bool = False
) -> tuple[Volume, ...]:
    """The maps of a NIfTI-1 file, one per channel: its one axis beside those of space. They must be finite.

    The arrays keep the file's dtype (float32 where it states a scaling). Raises ReadError with a code of docs/input.md.
    """
    name = os.path.basename(os.fspath(path))
    if format_of(path) == "dicom":
        raise ReadError("picture_not_measurement", f"{name!r} is a DICOM picture: grey values are no map")
    array, header, flags, sha256 = nifti.read_array(
        path, max_decoded_bytes=max_decoded_bytes, allow_shear=allow_shear, series=True
    )
    if array.dtype.kind == "f" and (bad := int(np.count_nonzero(~np.isfinite(array)))):
        raise ReadError("non_finite", f"{name!r}: {bad} voxels are not finite")
    return tuple(Volume(a, header.affine, header.spacing_mm, "map", flags=flags, sha256=sha256) for a in array)


def read_mask(
    path: str | os.PathLike[str],
    names: Mapping[int, str],
    *,
    max_decoded_bytes: int = MAX_BYTES,
    allow_shear: bool = False,
) -> tuple[Volume, ...]:
    """A mask: one volume of labels, whose values are those of `names`, as uint8; or, of a file with several channels,
    as many volumes of weights. Raises ReadError `label_values` with the values found, and every code of `read_maps`."""
    found = read_maps(path, max_decoded_bytes=max_decoded_bytes, allow_shear=allow_shear)
    if len(found) > 1:
        return found
    (volume,) = found
    name = os.path.basename(os.fspath(path))
    labels, more = values.to_labels(volume.array, name, names)
    return (Volume(labels, volume.affine, volume.spacing_mm, "labels", flags=(*volume.flags, *more),
                   sha256=volume.sha256),)  # fmt: skip
