"""NIfTI out: the same array gives the same bytes, and a reader never sees half a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..files import write_atomic

_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
_LEVEL = 6
_ZYX = [2, 1, 0, 3]


def write_nifti(
    path: str | os.PathLike[str],
    array: ArrayLike,
    affine: ArrayLike,
    *,
    dtype: DTypeLike | None = None,
    level: int = _LEVEL,
) -> Path:
    """Write an array (z, y, x) as NIfTI-1, .nii or .nii.gz by the name; return the path.

    affine: 4 x 4, index (z, y, x) -> world mm, RAS+. dtype: of the file, default the array's own; the values must fit
    it exactly (floats may be rounded to float32). Atomic: a temporary file beside it, fsync, rename. The gzip header
    carries no time and no name. Raises ValueError for shapes, dtypes or values that NIfTI-1 cannot hold.
    """
    path = Path(path)
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        raise ValueError(f"[write_nifti] expected a name ending in .nii or .nii.gz, found {path.name!r}")
    voxels = _as_dtype(np.asarray(array), dtype)
    data = _header(voxels, np.asarray(affine, dtype=np.float64)) + b"\0" * 4 + voxels.tobytes()
    if name.endswith(".gz"):
        import deflate

        data = bytes(deflate.gzip_compress(data, level))
    write_atomic(path, data)
    return path


def _as_dtype(array: NDArray[Any], dtype: DTypeLike | None) -> NDArray[Any]:
    if array.ndim != 3 or not all(1 <= n <= 32767 for n in array.shape):
        raise ValueError(f"[write_nifti] array: expected 3 axes (z, y, x) of 1 to 32767, found shape {array.shape}")
    wanted = array.dtype if dtype is None else np.dtype(dtype)
    if wanted.name not in _TYPES:
        raise ValueError(f"[write_nifti] dtype: expected one of {', '.join(_TYPES)}, found {wanted.name}")
    if wanted != array.dtype and not (array.dtype.kind == "f" and wanted.kind == "f"):
        with np.errstate(invalid="ignore"):
            same = bool((array.astype(wanted).astype(array.dtype) == array).all())
        if not same:
            raise ValueError(f"[write_nifti] values of {array.dtype} do not fit {wanted.name} exactly")
    return np.ascontiguousarray(array, dtype=wanted.newbyteorder("<"))


def _header(voxels: NDArray[Any], affine: NDArray[np.float64]) -> bytes:
    from nibabel import nifti1

    if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.linalg.det(affine[:3, :3]):
        raise ValueError("[write_nifti] affine: expected a finite, invertible 4 x 4 matrix")
    affine_xyz = affine[:, _ZYX]
    maker: Any = nifti1.Nifti1Header  # partly typed
    header = maker(endianness="<")
    header.set_data_dtype(voxels.dtype)
    header.set_data_shape(voxels.shape[::-1])
    header.set_zooms([float(s) for s in np.linalg.norm(affine_xyz[:3, :3], axis=0)])
    header.set_sform(affine_xyz, code=1)
    header.set_xyzt_units("mm")
    header.set_slope_inter(1.0, 0.0)
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    return bytes(header.binaryblock)
