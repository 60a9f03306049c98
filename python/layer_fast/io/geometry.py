"""The geometry policy: volumes and masks of one scan share a grid, or the scan is refused, or the caller resamples."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, StepFailure
from ..types import Scan, Volume
from .nifti_affine import corner_difference

Policy = Literal["refuse", "resample"]
POLICIES: tuple[Policy, ...] = ("refuse", "resample")
TOLERANCE_MM = 0.05


def same_grid(reference: Volume, other: Volume, tolerance_mm: float = TOLERANCE_MM) -> bool:
    """True where shapes are equal and every voxel's world position agrees within `tolerance_mm`.

    Both maps are affine, so the largest difference over the volume is at one of its eight corners.
    """
    return (
        reference.array.shape == other.array.shape
        and reference.kind == other.kind
        and corner_difference(reference.affine, other.affine, reference.array.shape) <= tolerance_mm
    )


def check(
    reference: Volume, other: Volume, name: str, *, policy: Policy = "refuse", tolerance_mm: float = TOLERANCE_MM
) -> NDArray[np.float64] | None:
    """None where `other` lies on the grid of `reference`; else, under "resample", the grid_map to bring it there.

    The grid_map is 4 x 4, index (z, y, x) on `reference` -> index (z, y, x) in `other`, at voxel centres; resampling
    is the caller's. Raises StepFailure `geometry_mismatch` under "refuse", stating the largest difference in mm, and
    where one of the two is a series of frames or a single picture whose depth is unknown (no map exists).
    """
    check_options(policy, tolerance_mm)
    if same_grid(reference, other, tolerance_mm):
        return None
    found = _difference(reference, other)
    if policy == "refuse":
        raise StepFailure("geometry_mismatch", f"{name}: {found}; allowed is {tolerance_mm:g} mm", input_at_fault=True)
    if "frames" in (reference.kind, other.kind) or not (_invertible(reference) and _invertible(other)):
        message = f"{name}: {found}; a picture or a series of frames has no place in space"
        raise StepFailure("geometry_mismatch", message, input_at_fault=True)
    return grid_map(other, reference)


def grid_map(source: Volume, target: Volume) -> NDArray[np.float64]:
    """The map that brings `source` onto the grid of `target`, as ops take it.

    4 x 4, index (z, y, x) on `target` -> index (z, y, x) in `source`, at voxel centres: inv(A_source) A_target.
    """
    out = np.linalg.solve(source.affine, target.affine)
    out[3] = (0.0, 0.0, 0.0, 1.0)
    return np.asarray(out, dtype=np.float64)


def grid_maps(scan: Scan, *, tolerance_mm: float = TOLERANCE_MM) -> dict[str, NDArray[np.float64]]:
    """What lies off `scan.grid`: modality or "mask:SOURCE" -> grid_map. Empty where all share the grid."""
    others = {**scan.volumes, **{f"mask:{source}": mask for source, mask in scan.masks.items()}}
    maps = {key: check(scan.grid, v, key, policy="resample", tolerance_mm=tolerance_mm) for key, v in others.items()}
    return {key: m for key, m in maps.items() if m is not None}


def check_options(policy: str, tolerance_mm: float) -> None:
    """Raises ConfigError unless the policy is known and the tolerance is in 0 to 1 mm."""
    if policy not in POLICIES:
        raise ConfigError(f"[geometry] expected one of {POLICIES}, found {policy!r}")
    if not (math.isfinite(tolerance_mm) and 0 <= tolerance_mm <= 1):
        raise ConfigError(f"[geometry] tolerance_mm: expected 0 to 1, found {tolerance_mm!r}")


def _difference(reference: Volume, other: Volume) -> str:
    if reference.kind != other.kind:
        return f"expected {reference.kind}, found {other.kind}"
    apart = corner_difference(reference.affine, other.affine, reference.array.shape)
    if reference.array.shape == other.array.shape:
        return f"voxels lie up to {apart:.3f} mm from those of the {reference.modality} volume"
    here, there = (" x ".join(map(str, v.array.shape)) for v in (reference, other))
    return f"expected {here} voxels, found {there}; voxels of equal index lie up to {apart:.3f} mm apart"


def _invertible(volume: Volume) -> bool:
    return bool(np.linalg.matrix_rank(volume.affine[:3, :3]) == 3)
