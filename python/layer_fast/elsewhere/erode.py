"""Layers without their rims: voxels whose distance to every other label is more than a length."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1 + 1e-6  # affines are float32: 3 voxels of 0.1 mm are within 0.3 mm


def kept_voxels(
    labels: NDArray[np.uint8], spacing_mm: tuple[float, float, float], mm: float, values: Iterable[int]
) -> NDArray[np.bool_]:
    """True where no voxel centre of another label lies within `mm` of the voxel's own centre (Euclidean, exact).

    What lies beyond the volume is not known and erodes nothing. Where `mm` is less than a voxel, all is kept.
    """
    from scipy.ndimage import distance_transform_edt

    kept = np.zeros(labels.shape, bool)
    reach = [int(mm * _ROUNDING / step) for step in spacing_mm]
    for value in values:
        here = labels == value
        box = _box(here, reach)
        if box is not None:
            inside = here[box]
            # SciPy measures to the nearest voxel outside; where there is none, its distances mean nothing
            far = distance_transform_edt(inside, sampling=spacing_mm) > mm * _ROUNDING if not inside.all() else True
            kept[box] |= inside & far
    return kept


def _box(here: NDArray[np.bool_], reach: list[int]) -> tuple[slice, ...] | None:
    """The label's bounding box with a margin that holds every voxel that could erode it."""
    out = []
    for axis, margin in enumerate(reach):
        found = np.flatnonzero(here.any(axis=tuple(a for a in range(3) if a != axis)))
        if not len(found):
            return None
        out.append(slice(max(0, int(found[0]) - margin), int(found[-1]) + 1 + margin))
    return tuple(out)
