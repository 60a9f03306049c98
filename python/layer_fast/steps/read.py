"""read: ScanRef -> Scan. Files are opened, checked by the contract of docs/input.md and hashed in one go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..config import RunConfig
from ..io import read_scan
from ..io.geometry import check
from ..types import Scan, ScanRef, Volume
from .lane import Lane


def read(refs: list[ScanRef], lane: Lane, config: RunConfig) -> list[Scan]:
    """Read what the run uses of each scan and bring it onto one grid. Raises ReadError, StepFailure."""
    how: dict[str, Any] = {"geometry": config.geometry, "tolerance_mm": config.tolerance_mm, "threads": lane.op_threads}
    return align([read_scan(used(ref, config), **how) for ref in refs], lane, config)


def used(ref: ScanRef, config: RunConfig) -> ScanRef:
    """The row without the files that a run with these options does not use, so that a broken one costs nothing and
    moves no key: given masks where the segmenter's are asked for, unless a guard compares the two."""
    needed = config.mask != "model" or "mask_perturbation" in config.guards
    return ref if needed else replace(ref, masks={})


def align(scans: list[Scan], lane: Lane, config: RunConfig) -> list[Scan]:
    """Hold scans to the geometry policy: the grid of each is its B-mode's, what lies elsewhere is refused or moved.

    Raises StepFailure `geometry_mismatch`.
    """
    return [_align(scan, lane, config) for scan in scans]


def _align(scan: Scan, lane: Lane, config: RunConfig) -> Scan:
    flags = list(scan.flags)
    moved: dict[str, Volume] = {}
    everything = {**scan.volumes, **{f"mask:{source}": mask for source, mask in scan.masks.items()}}
    for name, volume in everything.items():
        grid_map = check(scan.grid, volume, name, policy=config.geometry, tolerance_mm=config.tolerance_mm)
        if grid_map is not None:
            moved[name], outside = _onto(scan.grid, volume, grid_map, lane)
            flags += [f"resample:{name}"] if f"resample:{name}" not in flags else []  # files have it from read_scan
            flags += [f"partly_outside:{name}"] if outside else []
    volumes = {name: moved.get(name, volume) for name, volume in scan.volumes.items()}
    masks = {source: moved.get(f"mask:{source}", mask) for source, mask in scan.masks.items()}
    return replace(scan, volumes=volumes, masks=masks, flags=tuple(flags)) if moved else scan


def _onto(grid: Volume, volume: Volume, grid_map: NDArray[np.float64], lane: Lane) -> tuple[Volume, bool]:
    """The volume on another grid, and whether the grid reaches beyond it. Nothing was measured out there: shear wave
    is NaN and labels are 0. A hole of the shear wave makes a hole of every voxel it has a part in."""
    shape = grid.array.shape
    if volume.modality == "labels":
        array = ops.resample_labels(volume.array, shape, mode="nearest", grid_map=grid_map, threads=lane.op_threads)
    else:
        array = ops.resample(volume.array, shape, grid_map=grid_map, threads=lane.op_threads)
    beyond = outside(volume.array.shape, shape, grid_map)
    array[beyond] = 0 if volume.modality == "labels" else np.nan
    return replace(volume, array=array, affine=grid.affine, spacing_mm=grid.spacing_mm), bool(beyond.any())


def outside(source: tuple[int, ...], shape: tuple[int, ...], grid_map: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(z, y, x) bool: output voxels whose centre lies beyond the voxels of the source (index < -1/2 or > n - 1/2)."""
    y, x = np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij")
    beyond = np.zeros(shape, bool)
    for z in range(shape[0]):  # a plane at a time: coordinates of a whole volume would take 24 bytes a voxel
        for row, n in zip(grid_map[:3], source, strict=True):
            at = row[0] * z + row[1] * y + row[2] * x + row[3]
            beyond[z] |= (at < -0.5) | (at > n - 0.5)
    return beyond
