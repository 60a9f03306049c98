"""DICOM ultrasound (extra `dicom`): one picture or a cine of frames. Never a volume: the first axis is not depth.

Only the elements named in `_KEYWORDS` are read from the file, so nothing about the patient enters a Volume; text burnt
into the picture stays in the picture unless `crop_to_region` cuts it away.
"""

from __future__ import annotations

import os
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from ..types import Volume
from . import dicom_regions as regions
from .dicom_pixels import luminance_frames
from .files import MAX_BYTES, RegularFile
from .values import check_image

_SINGLE = ("1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.6")
_MULTI = ("1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.3")
_ENHANCED_VOLUME = "1.2.840.10008.5.1.4.1.1.6.2"
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_MAX_META = 1 << 20  # the transfer syntax stands in the first kilobyte; pydicom would inflate without a limit
_MAX_DIM = 4096
_MAX_FRAMES = 100_000
_KEYWORDS = [
    "SOPClassUID", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
    "PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelSpacing", "SequenceOfUltrasoundRegions",
    *(f"{c}PaletteColorLookupTable{part}" for c in ("Red", "Green", "Blue") for part in ("Data", "Descriptor")),
    *(f"Segmented{c}PaletteColorLookupTableData" for c in ("Red", "Green", "Blue")),
]  # fmt: skip


def read_dicom(
    path: str | os.PathLike[str],
    *,
    pixel_mm: tuple[float, float] | None = None,
    crop_to_region: bool = False,
    max_decoded_bytes: int = MAX_BYTES,
) -> Volume:
    """Read an ultrasound picture, (1, y, x), or a cine, (frame, y, x) with kind "frames", as grey values.

    Grey pictures keep their dtype; colour becomes luminance (ITU-R BT.601), uint8. spacing_mm is (NaN, dy, dx): frames
    have no distance in mm, and a picture's thickness is not stated. dy and dx come from the ultrasound regions, else
    from PixelSpacing, else from `pixel_mm` (dy, dx), else they are NaN with the flag `spacing_unknown`. The affine has
    a zero column for every axis whose spacing is unknown.
    crop_to_region: keep the one region measured in cm only. Raises ReadError with a code of docs/input.md.
    """
    with RegularFile(path) as file:
        if _DEFLATED in file.head(_MAX_META):
            raise ReadError(
                "dicom_deflated", f"{file.name!r} is a deflated DICOM file, whose size cannot be checked first"
            )
        data = file.read(max_bytes=max_decoded_bytes)
        dataset = _parse(data, file.name)
        frames, rows, columns = _shape(dataset, file.name, max_decoded_bytes)
        found = regions.find(dataset, rows, columns, file.name)
        spacing, flags = regions.spacing(dataset, found, pixel_mm, file.name)
        box = regions.box(found, rows, columns, file.name) if crop_to_region else (0, rows, 0, columns)
        array, colour_flags = luminance_frames(dataset, (frames, rows, columns), box, file.name)
        check_image(array, file.name)
        kind_flags = ("frames_not_volume",) if frames > 1 else ("single_slice",)
        crop_flag = "cropped_to_region" if crop_to_region else "whole_picture"
        return Volume(
            array=array,
            affine=_affine(spacing, box),
            spacing_mm=(float("nan"), *spacing),
            modality="bmode",
            kind="frames" if frames > 1 else "volume",
            flags=(*kind_flags, "orientation_unknown", crop_flag, *flags, *colour_flags),
            sha256=file.sha256,
        )


def _parse(data: memoryview, name: str) -> Any:
    try:
        import pydicom
    except ImportError:
        raise ReadError("dicom_extra_missing", f"{name!r} is DICOM: pip install 'layer_fast[dicom]'") from None
    try:
        dataset = pydicom.dcmread(BytesIO(data), specific_tags=_KEYWORDS)
        sop_class = str(dataset.get("SOPClassUID", ""))
    except Exception as error:  # a third-party parser on a file of unknown origin: any failure means "not readable"
        raise ReadError("dicom_damaged", f"{name!r} cannot be parsed as DICOM ({type(error).__name__})") from None
    if sop_class == _ENHANCED_VOLUME:
        raise ReadError(
            "enhanced_us_volume", f"{name!r} is an Enhanced US Volume, not read yet: export it to NIfTI first"
        )
    if sop_class not in _SINGLE + _MULTI:
        raise ReadError(
            "not_ultrasound", f"{name!r} is DICOM, but neither an ultrasound picture nor an ultrasound cine"
        )
    return dataset


def _shape(dataset: Any, name: str, max_decoded_bytes: int) -> tuple[int, int, int]:
    try:
        frames, rows, columns = (int(dataset.get(key) or 1) for key in ("NumberOfFrames", "Rows", "Columns"))
        samples, bits = int(dataset.SamplesPerPixel), int(dataset.BitsAllocated)
    except Exception:  # absent, not a number, or a value that pydicom cannot convert
        raise ReadError("dicom_damaged", f"{name!r}: the picture's size is missing or not a number") from None
    if not (0 < rows <= _MAX_DIM and 0 < columns <= _MAX_DIM and 0 < frames <= _MAX_FRAMES):
        raise ReadError("dim_too_large", f"{name!r}: {frames} frames of {rows} x {columns} pixels are not read")
    if samples not in (1, 3) or bits not in (8, 16) or dataset.get("PixelRepresentation", 0) != 0:
        raise ReadError("dicom_pixels", f"{name!r}: expected 1 or 3 unsigned samples of 8 or 16 bits a pixel")
    claimed = frames * rows * columns * samples * bits // 8
    if claimed > max_decoded_bytes:
        raise ReadError(
            "too_large", f"{name!r} claims {claimed} bytes of pixels, at most {max_decoded_bytes} are decoded"
        )
    return frames, rows, columns


def _affine(spacing: tuple[float, float], box: tuple[int, int, int, int]) -> NDArray[np.float64]:
    # Where the probe was is not stated: x of the picture along world x, depth along world y, the picture's corner at 0.
    dy, dx = (0.0 if np.isnan(s) else s for s in spacing)
    affine = np.zeros((4, 4))
    affine[1, 1], affine[0, 2], affine[3, 3] = dy, dx, 1.0
    affine[0, 3], affine[1, 3] = box[2] * dx, box[0] * dy
    return affine
