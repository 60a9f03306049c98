"""The NIfTI-1 header contract: every field that decides voxels or geometry is checked before anything is allocated.

nibabel parses the 348 bytes; the rules are ours. Not looked at, because nothing here depends on them: dim_info, intent
fields, slice timing, cal_min and cal_max, toffset, descrip, aux_file and the ANALYZE leftovers.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from .nifti_affine import affine_of

HEADER_BYTES = 348
MIN_OFFSET = 352
MAX_DIM = 4096
MAX_HEADER = 1 << 20
_DTYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
_UNIT_MASK, _UNIT_UNKNOWN, _UNIT_MM = 0x07, 0, 2


@dataclass(frozen=True, slots=True)
class NiftiHeader:
    """What the data stage needs. `dtype` carries the file's byte order; slope 1 and inter 0 mean "no scaling"."""

    shape: tuple[int, int, int]  # (z, y, x)
    dtype: np.dtype[Any]
    offset: int
    slope: float
    inter: float
    affine: NDArray[np.float64]  # (z, y, x) index -> world mm, RAS+
    spacing_mm: tuple[float, float, float]  # (z, y, x)
    flags: tuple[str, ...]
    channels: int = 1  # volumes one behind the other in the file

    @property
    def claimed(self) -> int:
        """Bytes of header, extensions and voxels together."""
        return self.offset + self.channels * math.prod(self.shape) * self.dtype.itemsize


def parse(block: bytes, name: str, *, allow_shear: bool = False, series: bool = False) -> NiftiHeader:
    """Check the first 348 bytes of a single-file NIfTI-1. Raises ReadError with the code of the first rule broken.

    series: accept one axis beside the three of space, whose volumes are then the channels.
    """
    order = _byte_order(block, name)
    from nibabel import nifti1

    parser: Any = nifti1.Nifti1Header  # partly typed
    raw = parser(block[:HEADER_BYTES], endianness=order, check=False)
    fields = raw.structarr
    shape_xyz, channels = _shape(fields, name, series)
    dtype = _dtype(fields, order, name)
    offset = _offset(float(fields["vox_offset"]), name)
    slope, inter, scale_flags = _scaling(float(fields["scl_slope"]), float(fields["scl_inter"]), name)
    unit_flags = _units(int(fields["xyzt_units"]), name)
    affine, spacing_mm, flags = affine_of(raw, shape_xyz, name, allow_shear=allow_shear)
    return NiftiHeader(
        shape=(shape_xyz[2], shape_xyz[1], shape_xyz[0]),
        dtype=dtype,
        offset=offset,
        slope=slope,
        inter=inter,
        affine=affine,
        spacing_mm=spacing_mm,
        flags=(*scale_flags, *unit_flags, *flags),
        channels=channels,
    )


def check_extensions(start: bytes, header: NiftiHeader, name: str) -> None:
    """Walk the extension chain in `start`, the file's first `header.offset` bytes.

    Raises ReadError `extension` unless every size is a multiple of 16, at least 16, and the chain ends at the voxels.
    """
    if len(start) < header.offset:
        raise ReadError("truncated", f"{name!r} ends inside its header")
    if start[HEADER_BYTES] == 0:
        return
    order = _byte_order(start, name)
    position = MIN_OFFSET
    while position < header.offset:
        if header.offset - position < 8:
            raise ReadError("extension", f"{name!r}: header extensions do not end where the voxels begin")
        (size,) = struct.unpack_from(order + "i", start, position)
        if size < 16 or size % 16 or size > header.offset - position:
            message = f"{name!r}: a header extension of size {size}, expected a multiple of 16 that fits"
            raise ReadError("extension", message)
        position += size


def _byte_order(block: bytes, name: str) -> str:
    if len(block) < HEADER_BYTES:
        raise ReadError("truncated", f"{name!r} holds {len(block)} bytes, a NIfTI header alone has {HEADER_BYTES}")
    for order in ("<", ">"):
        (size,) = struct.unpack_from(order + "i", block, 0)
        if size == HEADER_BYTES:
            break
        if size == 540:
            raise ReadError("nifti2", f"{name!r} is NIfTI-2, expected NIfTI-1: convert it first")
    else:
        raise ReadError("not_nifti", f"{name!r}: sizeof_hdr is not {HEADER_BYTES} in either byte order")
    magic = block[344:348]
    if magic == b"ni1\0":
        raise ReadError("detached", f"{name!r} keeps its voxels in a second file, expected a single .nii file")
    if magic != b"n+1\0":
        raise ReadError("magic", f"{name!r}: expected the magic of a single-file NIfTI-1, found another or none")
    return order


def _shape(fields: Any, name: str, series: bool) -> tuple[tuple[int, int, int], int]:
    dim = [int(n) for n in fields["dim"]]
    if not 3 <= dim[0] <= 7:
        raise ReadError("dim_count", f"{name!r}: dim[0] is {dim[0]}, expected 3, or more with trailing ones")
    used = dim[1 : dim[0] + 1]
    if min(used) < 1:
        raise ReadError("dim_size", f"{name!r}: a dimension is {min(used)}, expected at least 1")
    if max(used[:3]) > MAX_DIM:
        raise ReadError("dim_too_large", f"{name!r}: a dimension is {max(used[:3])}, at most {MAX_DIM} is read")
    more = [n for n in used[3:] if n != 1]
    if more and not series:
        raise ReadError("not_3d", f"{name!r} is {' x '.join(map(str, used))}: series and vectors are not volumes")
    if len(more) > 1:
        raise ReadError("not_3d", f"{name!r} is {' x '.join(map(str, used))}: expected one axis beside those of space")
    return (used[0], used[1], used[2]), more[0] if more else 1


def _dtype(fields: Any, order: str, name: str) -> np.dtype[Any]:
    code, bits = int(fields["datatype"]), int(fields["bitpix"])
    if code not in _DTYPES:
        message = (
            f"{name!r}: datatype {code}, expected one of {sorted(_DTYPES)} (8 to 32 bit whole, 32 or 64 bit float)"
        )
        raise ReadError("datatype", message)
    dtype = np.dtype(order + _DTYPES[code])
    if bits != 8 * dtype.itemsize:
        raise ReadError("bitpix", f"{name!r}: bitpix is {bits}, datatype {code} has {8 * dtype.itemsize}")
    return dtype


def _offset(value: float, name: str) -> int:
    if not math.isfinite(value):
        raise ReadError("vox_offset_not_finite", f"{name!r}: vox_offset is {value}")
    if value < MIN_OFFSET:
        raise ReadError("vox_offset_in_header", f"{name!r}: vox_offset is {value:g}, expected at least {MIN_OFFSET}")
    if value > MAX_HEADER:
        raise ReadError("vox_offset_too_far", f"{name!r}: vox_offset is {value:g}, at most {MAX_HEADER} is read")
    if value != int(value):
        raise ReadError("vox_offset_fraction", f"{name!r}: vox_offset is {value}, expected a whole number")
    return int(value)


def _scaling(slope: float, inter: float, name: str) -> tuple[float, float, tuple[str, ...]]:
    # The standard: slope 0 means "not set"; a non-finite one is treated the same and recorded under its own name.
    if slope == 0.0:
        return 1.0, 0.0, ("slope_unset",)
    if not math.isfinite(slope):
        return 1.0, 0.0, ("slope_not_finite",)
    if not math.isfinite(inter):
        raise ReadError("inter_not_finite", f"{name!r}: scl_inter is {inter} beside a valid slope")
    return slope, inter, ()


def _units(code: int, name: str) -> tuple[str, ...]:
    unit = code & _UNIT_MASK
    if unit == _UNIT_UNKNOWN:
        return ("unit_unknown",)
    if unit != _UNIT_MM:
        raise ReadError("unit", f"{name!r}: the unit of length has code {unit}, expected 2 (mm)")
    return ()
