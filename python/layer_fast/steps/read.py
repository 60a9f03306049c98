"""read: ScanRef -> Scan. Files are opened, checked by the contract of docs/input.md and hashed in one go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..config import RunConfig
from ..io import read_scan
from ..io.geometry import grid_maps
from ..types import Scan, ScanRef, Volume
from .lane import Lane


def read(refs: list[ScanRef], lane: Lane, config: RunConfig) -> list[Scan]:
    """Read each scan and bring its volumes and masks onto one grid. Raises ReadError, StepFailure."""
    return [_read(ref, lane, config) for ref in refs]


def _read(ref: ScanRef, lane: Lane, config: RunConfig) -> Scan:
    scan = read_scan(ref, geometry=config.geometry, tolerance_mm=config.tolerance_mm)
    if config.geometry == "refuse":
        return scan  # read_scan has refused what lies elsewhere
    maps = grid_maps(scan, tolerance_mm=config.tolerance_mm)
    volumes = {name: _onto(scan.grid, volume, maps.get(name), lane) for name, volume in scan.volumes.items()}
    masks = {source: _onto(scan.grid, mask, maps.get(f"mask:{source}"), lane) for source, mask in scan.masks.items()}
    return replace(scan, volumes=volumes, masks=masks)


def _onto(grid: Volume, volume: Volume, grid_map: NDArray[np.float64] | None, lane: Lane) -> Volume:
    """The volume on another grid. A hole of the shear wave makes a hole of every voxel it has a part in."""
    if grid_map is None:
        return volume
    shape = grid.array.shape
    if volume.modality == "labels":
        array = ops.resample_labels(volume.array, shape, mode="nearest", grid_map=grid_map, threads=lane.op_threads)
    else:
        array = ops.resample(volume.array, shape, grid_map=grid_map, threads=lane.op_threads)
    return replace(volume, array=array, affine=grid.affine, spacing_mm=grid.spacing_mm)
