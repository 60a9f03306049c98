"""One file in, one Volume out. The format is told by the content, and the name must not contradict it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..config import thread_budget
from ..errors import ConfigError, ReadError
from ..types import Volume
from . import nifti, values
from .files import MAX_BYTES, RegularFile

_ELSEWHERE = {
    ".hdr": "a header whose voxels lie in a second file",
    ".img": "voxels whose header lies in a second file",
    ".nhdr": "a header whose voxels lie in a second file",
    ".mhd": "a header whose voxels lie in a second file",
    ".nrrd": "NRRD",
    ".mha": "MetaImage",
    ".mgz": "FreeSurfer MGZ",
    ".mgh": "FreeSurfer MGH",
    ".vol": "a scanner maker's own volume",
    ".mat": "MATLAB",
    ".h5": "HDF5",
    ".npy": "a NumPy array without geometry",
}


def read(
    path: str | os.PathLike[str],
    *,
    modality: Literal["bmode", "swe", "map"] | None = None,
    unit: str | None = None,
    max_decoded_bytes: int = MAX_BYTES,
    allow_shear: bool = False,
    pixel_mm: tuple[float, float] | None = None,
    crop_to_region: bool = False,
    threads: int | None = None,
) -> Volume:
    """Read one image: NIfTI-1 (.nii, .nii.gz) or, with the extra `dicom`, a DICOM ultrasound picture or cine.

    modality: "bmode" (also when None), "swe" or "map". Shear wave needs `unit`, "m/s" or "kPa", and comes back as
    float32 m/s with NaN where nothing was measured; B-mode and maps keep the file's dtype (float32 where the file
    states a scaling) and must be finite. The array is (z, y, x), or (frame, y, x) with kind "frames".
    allow_shear: accept voxel axes not at right angles. pixel_mm, crop_to_region: DICOM only, see `dicom.read_dicom`.
    threads: with two (None: LAYER_FAST_THREADS, else those of the process) a .nii.gz is hashed while it is inflated.
    Raises ReadError with a code of docs/input.md, ConfigError for arguments that contradict each other.
    """
    modality = modality or "bmode"
    if modality not in ("bmode", "swe", "map"):
        raise ConfigError(f"[read] modality: expected 'bmode', 'swe' or 'map', found {modality!r}; masks: read_labels")
    if unit is not None and modality != "swe":
        raise ConfigError(f"[read] unit={unit!r} goes with modality='swe', found modality={modality!r}")
    name = Path(path).name
    if modality == "swe" and unit not in values.SWE_UNITS:
        raise values.unit_missing(unit, name)
    if format_of(path) == "dicom":
        if modality != "bmode":
            raise ReadError("picture_not_measurement", f"{name!r} is a DICOM picture: grey values are no {modality}")
        from .dicom import read_dicom

        return read_dicom(path, pixel_mm=pixel_mm, crop_to_region=crop_to_region, max_decoded_bytes=max_decoded_bytes)
    if pixel_mm is not None or crop_to_region:
        raise ConfigError(
            f"[read] pixel_mm and crop_to_region are for DICOM pictures; {name!r} states its own geometry"
        )
    array, header, flags, sha256 = nifti.read_array(
        path, max_decoded_bytes=max_decoded_bytes, allow_shear=allow_shear, threads=threads or thread_budget()
    )
    if modality == "swe":
        array, more = values.to_speed(array, unit, name)
        flags = (*flags, *more)
    elif modality == "bmode":
        values.check_image(array, name)
    else:
        _check_finite_map(array, name)
    return Volume(array, header.affine, header.spacing_mm, modality, flags=flags, sha256=sha256)


def read_labels(
    path: str | os.PathLike[str], *, max_decoded_bytes: int = MAX_BYTES, allow_shear: bool = False
) -> Volume:
    """Read a layer mask: NIfTI-1 whose values are the whole numbers 0 (background) to 6 (muscle), as uint8 (z, y, x).

    Raises ReadError `label_values` with the values found, and every code that `read` has for NIfTI.
    """
    name = Path(path).name
    if format_of(path) == "dicom":
        raise ReadError("picture_not_measurement", f"{name!r} is a DICOM picture, expected a label volume as NIfTI")
    array, header, flags, sha256 = nifti.read_array(path, max_decoded_bytes=max_decoded_bytes, allow_shear=allow_shear)
    labels, more = values.to_labels(array, name)
    return Volume(labels, header.affine, header.spacing_mm, "labels", flags=(*flags, *more), sha256=sha256)


def format_of(path: str | os.PathLike[str]) -> Literal["nifti", "dicom"]:
    """Format by content; formats known by name only are refused with a sentence."""
    name = Path(path).name
    with RegularFile(path) as file:
        head = file.head(352)
    if head[128:132] == b"DICM":
        return "dicom"
    suffix = Path(name.lower().removesuffix(".gz")).suffix
    is_nifti = head[344:347] in (b"n+1", b"ni1") or suffix == ".nii"
    if suffix in _ELSEWHERE and not is_nifti:
        raise ReadError("unsupported_format", f"{name!r} is {_ELSEWHERE[suffix]}: convert it to NIfTI (3D Slicer does)")
    if suffix in (".dcm", ".dicom"):
        raise ReadError("not_dicom", f"{name!r} has no DICOM preamble")
    return "nifti"


def _check_finite_map(array: NDArray[Any], name: str) -> None:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ReadError("non_finite", f"{name!r}: {int(np.count_nonzero(~np.isfinite(array)))} voxels are not finite")
