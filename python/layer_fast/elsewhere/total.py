"""The voxels that ranks and thresholds are taken over."""

from __future__ import annotations

import numpy as np

from .field import Bools, Field, Floats


class Total:
    """t: the transformed map at the voxels of the total, in scan order."""

    def __init__(self, field: Field, which: str) -> None:
        self._mask = field.mask
        self._chosen: Bools | None = None if which == "all" else field.mask.voxels(field.mask.codes_of(which))
        self.t: Floats = field.t if self._chosen is None else field.t[self._chosen]

    def inside(self, codes: tuple[int, ...]) -> Bools:
        """True where a voxel of the total is in the region."""
        region = self._mask.voxels(codes)
        return region if self._chosen is None else np.asarray(region[self._chosen])
