"""Where a map lies against a mask: on its grid, coarser over the same place, or somewhere else."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from ..errors import StepFailure
from ..io.geometry import TOLERANCE_MM, grid_map, same_grid
from ..types import Volume

_FINER = 1e-3  # relative: room for affines that were rounded to float32


def map_to_mask(found: Volume, mask: Volume, names: tuple[str, str]) -> NDArray[np.float64] | None:
    """None where the map lies on the mask's grid; else the grid_map, mask index -> map index, both (z, y, x).

    names: of the map and the mask, for messages. Raises StepFailure `geometry_mismatch`: a map that does not cover the
    mask's voxels (its own reach half a voxel beyond their centres), is finer than the mask, or whose place is unknown.
    """
    if same_grid(mask, found):
        return None
    where = f"{names[0]}: the map and the mask {names[1]} lie on different grids, and"
    for volume, name in zip((found, mask), names, strict=True):
        if "orientation_unknown" in volume.flags or volume.kind == "frames":
            raise _mismatch(f"{where} {name} does not say where it lies (no sform, no qform)")
    index = grid_map(found, mask)
    outside = _outside_mm(index, found, mask)
    if outside > TOLERANCE_MM:
        raise _mismatch(f"{where} voxels of the mask lie up to {outside:.3f} mm outside the map, allowed is "
                        f"{TOLERANCE_MM:g} mm: is it another place or scan?")  # fmt: skip
    finer = float(np.linalg.norm(index[:3, :3], axis=0).max())
    if finer > 1 + _FINER:
        raise _mismatch(f"{where} the map is {finer:.3g} times finer than the mask; expected one that is not: bring "
                        "the mask onto the map's grid (nearest neighbour)")  # fmt: skip
    return index


def check_shapes(map_shape: tuple[int, ...], mask_shape: tuple[int, ...]) -> None:
    """For arrays without a place, taken to fill one field of view: the map may be coarser, not finer."""
    if any(m > n for m, n in zip(map_shape, mask_shape, strict=True)):
        raise ValueError(f"[quantify_map] expected a map no finer than the mask {mask_shape}, got {map_shape}")


def _outside_mm(index: NDArray[np.float64], found: Volume, mask: Volume) -> float:
    """How far the mask's voxel centres lie beyond the outer faces of the map's voxels."""
    corners = np.array([(*c, 1.0) for c in itertools.product(*((0.0, n - 1.0) for n in mask.array.shape))])
    at = (corners @ index.T)[:, :3]
    beyond = np.maximum(np.maximum(-0.5 - at, at - (np.array(found.array.shape) - 0.5)), 0.0)
    return float(np.linalg.norm(beyond * np.array(found.spacing_mm), axis=1).max())


def _mismatch(text: str) -> StepFailure:
    return StepFailure("geometry_mismatch", text, input_at_fault=True)
