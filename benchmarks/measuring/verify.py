"""Before timing: is it the same work?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def difference(got: Any, wanted: Any, measure: str, crop: int = 0) -> tuple[float, list[str]]:
    """(difference, parts that `got` lacks). Results are arrays, or dicts of arrays: their shared keys are compared.

    measure "relative": largest |got - wanted| over the largest |wanted|; "fraction": part of the voxels that differ.
    Of dicts the worst key counts. crop: voxels left out at each face.
    """
    if wanted is None:
        return 0.0, []
    if not isinstance(wanted, Mapping):
        return _apart(_cut(got, crop), _cut(wanted, crop), measure), []
    shared = [key for key in wanted if key in got]
    if not shared:
        return float("inf"), list(wanted)
    # np.max, not max: NaN is a disagreement, wherever it stands.
    worst = float(np.max([_apart(np.asarray(got[key]), np.asarray(wanted[key]), measure) for key in shared]))
    return worst, [key for key in wanted if key not in got]


def relative_l2(got: Any, wanted: Any) -> float:
    """L2 norm of the difference over that of what is wanted; infinity where the shapes differ."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    if got.shape != wanted.shape:
        return float("inf")
    return float(np.linalg.norm(np.subtract(got, wanted, dtype=np.float64)) / np.linalg.norm(wanted))


def _cut(array: Any, crop: int) -> Any:
    array = np.asarray(array)
    return array[(slice(crop, -crop),) * array.ndim] if crop else array


def _apart(got: Any, wanted: Any, measure: str) -> float:
    """Infinity where the shapes differ; slab by slab, since the arrays may be large."""
    if got.shape != wanted.shape:
        return float("inf")
    if measure == "fraction":
        return sum(int(np.count_nonzero(g != w)) for g, w in zip(got, wanted, strict=True)) / wanted.size
    if got.ndim < 3:
        got, wanted = got[None], wanted[None]
    largest = max(float(np.abs(part).max()) for part in wanted)
    parts = zip(got, wanted, strict=True)
    # NaN anywhere is a disagreement: np.max hands it on, and no comparison with it is true.
    found = float(np.max([np.abs(np.subtract(g, w, dtype=np.float64)).max() for g, w in parts]))
    return found / largest if largest else found
