"""Is a map upside down? MONAI's default normaliser maps (min, max) to (1, 0).

A class activation map that was rectified has its least value, 0, in many places at once and its greatest in one spot;
turned over, it is the greatest that is everywhere. That is read from the histogram, without mask or model. A map with
neither a floor nor a ceiling, as gradients and HiResCAM, is not judged: its sign is the class's, and the shape of its
tail was tried and told nothing (it called 4 of 4 sound HiResCAM maps of shear wave inverted).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MASS = 0.05  # share of voxels at one end that counts as a floor, or a ceiling
NEAR = 1e-3  # of the range: what counts as the end itself


@dataclass(frozen=True, slots=True)
class Inversion:
    """at_min, at_max: share of the voxels within `NEAR` of the range of either end; both 1 for a constant map."""

    at_min: float
    at_max: float

    @property
    def judged(self) -> bool:
        """Whether the map has a floor or a ceiling, and not both alike."""
        return max(self.at_min, self.at_max) >= MASS and self.at_min != self.at_max

    @property
    def fires(self) -> bool:
        """More voxels at the ceiling than on the floor: what was 0 is now the greatest."""
        return self.judged and self.at_max > self.at_min


def inversion(values: NDArray[np.floating]) -> Inversion:
    """Judge a map of any shape. Raises ValueError for an empty map or one with NaN or Inf."""
    flat = np.asarray(values, np.float64).ravel()
    if not flat.size or not np.isfinite(flat).all():
        raise ValueError(f"[inversion] expected one finite value or more, got {flat.size}, some of them NaN or Inf")
    low, high = float(flat.min()), float(flat.max())
    near = NEAR * (high - low)
    return Inversion(float((flat <= low + near).mean()), float((flat >= high - near).mean()))


def inversions(maps: NDArray[np.floating], flags: Sequence[str], inverted: Sequence[bool]) -> dict[str, Any]:
    """Facts of a map (channel, z, y, x): `inversion` of every channel, and `flags` with `looks_inverted` where one is
    upside down and a definition takes it as it is. inverted: whether each definition turns the map over."""
    found = [inversion(channel) for channel in maps]
    asks = any(one.fires for one in found) and not all(inverted)
    facts = [{"at_min": f.at_min, "at_max": f.at_max, "judged": f.judged, "fires": f.fires} for f in found]
    return {"flags": [*flags, *(["looks_inverted"] if asks else [])], "inversion": facts}
