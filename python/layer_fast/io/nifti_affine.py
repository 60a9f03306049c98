"""Geometry of a NIfTI-1 header: which affine holds, whether it can be trusted, what disagrees."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError

_AGREE_MM = 1e-3  # sform against qform, column norm against pixdim
_MAX_SHEAR = 1e-3  # cosine between two axes of an orthogonal grid; float32 rounding stays under 1e-5
_MIN_DET = 1e-9  # of the product of the spacings
_ZYX = [2, 1, 0, 3]

Affine = NDArray[np.float64]
Spacing = tuple[float, float, float]


def affine_of(
    raw: Any, shape_xyz: tuple[int, int, int], name: str, *, allow_shear: bool
) -> tuple[Affine, Spacing, tuple[str, ...]]:
    """Affine (z, y, x) -> mm, spacing_mm (z, y, x) and flags of a nibabel header `raw`.

    The sform holds if its code is above 0, else the qform, else pixdim alone (flag `orientation_unknown`). The spacing
    is the length of the affine's columns. Raises ReadError with the code of the rule broken.
    """
    fields = raw.structarr
    pixdim = [float(p) for p in fields["pixdim"]]
    if not all(math.isfinite(p) and p > 0 for p in pixdim[1:4]):
        raise ReadError("pixdim", f"{name!r}: a voxel size in pixdim is not a positive number")
    qform_code, sform_code = (_form_code(int(fields[key]), key, name) for key in ("qform_code", "sform_code"))
    qform = _qform(raw, pixdim[0], name) if qform_code else None
    sform = _sform(raw, name) if sform_code else None
    flags: list[str] = []
    if sform is not None:
        affine = sform
        if qform is not None and corner_difference(sform, qform, shape_xyz) > _AGREE_MM:
            flags.append("sform_qform_differ")
    elif qform is not None:
        affine = qform
    else:
        affine = np.diag([*pixdim[1:4], 1.0])
        flags.append("orientation_unknown")
    spacing, shape_flags = _spacing(affine, pixdim[1:4], name, allow_shear=allow_shear)
    return np.ascontiguousarray(affine[:, _ZYX]), (spacing[2], spacing[1], spacing[0]), (*flags, *shape_flags)


def corner_difference(first: Affine, second: Affine, shape: tuple[int, ...]) -> float:
    """Largest distance in mm between the world positions of the eight corner voxels under two affines."""
    corners = np.array([(*c, 1.0) for c in itertools.product(*((0.0, n - 1.0) for n in shape))])
    return float(np.linalg.norm((corners @ (first - second).T)[:, :3], axis=1).max())


def _form_code(code: int, key: str, name: str) -> int:
    if not 0 <= code <= 5:
        raise ReadError("form_code", f"{name!r}: {key} is {code}, expected 0 to 5")
    return code


def _qform(raw: Any, qfac: float, name: str) -> Affine:
    fields = raw.structarr
    quaternion = [float(fields[key]) for key in ("quatern_b", "quatern_c", "quatern_d")]
    offsets = [float(fields[key]) for key in ("qoffset_x", "qoffset_y", "qoffset_z")]
    if not all(map(math.isfinite, (*quaternion, *offsets))):
        raise ReadError("affine_not_finite", f"{name!r}: the qform holds NaN or infinity")
    if sum(q * q for q in quaternion) > 1.0 + 1e-6:
        raise ReadError("quaternion", f"{name!r}: the qform's quaternion is longer than 1")
    if qfac not in (-1.0, 0.0, 1.0):
        raise ReadError("qfac", f"{name!r}: pixdim[0] is {qfac:g}, expected -1 or 1 (0 is read as 1)")
    return np.asarray(_qform_affine(quaternion, offsets, [float(p) for p in fields["pixdim"][1:4]], qfac))


def _qform_affine(quaternion: list[float], offsets: list[float], size: list[float], qfac: float) -> Affine:
    # NIfTI-1 standard, method 2, in float64. A tiny negative 1 - b^2 - c^2 - d^2 is rounding of the file's float32.
    b, c, d = quaternion
    a = math.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
    norm = math.sqrt(a * a + b * b + c * c + d * d)
    a, b, c, d = a / norm, b / norm, c / norm, d / norm
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    affine = np.eye(4)
    affine[:3, :3] = rotation * np.array([size[0], size[1], size[2] * (-1.0 if qfac < 0 else 1.0)])
    affine[:3, 3] = offsets
    return affine


def _sform(raw: Any, name: str) -> Affine:
    affine = np.asarray(raw.get_sform(), dtype=np.float64)
    if not np.isfinite(affine).all():
        raise ReadError("affine_not_finite", f"{name!r}: the sform holds NaN or infinity")
    return affine


def _spacing(affine: Affine, pixdim: list[float], name: str, *, allow_shear: bool) -> tuple[Spacing, tuple[str, ...]]:
    columns = affine[:3, :3]
    norms = np.linalg.norm(columns, axis=0)
    if norms.min() == 0.0 or abs(np.linalg.det(columns / norms)) < _MIN_DET:
        raise ReadError("affine_singular", f"{name!r}: the affine squeezes the volume flat")
    cosines = (columns / norms).T @ (columns / norms) - np.eye(3)
    worst = float(np.abs(cosines).max())
    sheared = worst > _MAX_SHEAR
    if sheared and not allow_shear:
        raise ReadError("sheared", f"{name!r}: the voxel axes are not at right angles (cosine {worst:.3g})")
    differ = bool(np.abs(norms - pixdim).max() > _AGREE_MM)
    flags = (*(("sheared",) if sheared else ()), *(("spacing_mismatch",) if differ else ()))
    return (float(norms[0]), float(norms[1]), float(norms[2])), flags
