"""How far two answers of bench_gpu_ops.py are apart: arrays, tuples of arrays, or statistics of layer_fast."""

from __future__ import annotations

from typing import Any

import numpy as np

CHUNK = 1 << 24  # numbers compared at once: float64 copies of a whole volume would be gigabytes


def apart(got: Any, wanted: Any, measure: str = "relative", crop: int = 0) -> float:
    """Largest difference over the largest finite |wanted|, or with "fraction" the part that differs; the worst of
    several arrays. Infinity where shapes, numbers of arrays, or places of NaN and Inf are not the same."""
    if hasattr(wanted, "__dataclass_fields__"):
        names = [name for name in wanted.__dataclass_fields__ if getattr(wanted, name) is not None]
        got, wanted = [[getattr(side, name) for name in names] for side in (got, wanted)]
    if isinstance(wanted, list | tuple):
        if not isinstance(got, list | tuple) or len(got) != len(wanted):
            return float("inf")
        return max(apart(a, b, measure, crop) for a, b in zip(got, wanted, strict=True))
    if got is None:
        return float("inf")
    got, wanted = np.asarray(got), np.asarray(wanted)
    if got.shape != wanted.shape:
        return float("inf")
    if crop:
        inside = (slice(crop, -crop),) * wanted.ndim
        got, wanted = got[inside], wanted[inside]
        if wanted.size == 0:
            raise ValueError(f"expected voxels within {crop} of the faces, found none")
    return _flat(np.ravel(got), np.ravel(wanted), measure)


def _flat(got: Any, wanted: Any, measure: str) -> float:
    largest = worst = 0.0
    different = 0
    for start in range(0, wanted.size, CHUNK):
        a, b = (side[start : start + CHUNK].astype(np.float64) for side in (got, wanted))
        finite = np.isfinite(b)
        if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(a[finite]).all():
            return float("inf")
        difference = np.abs(a[finite] - b[finite])
        different += int(np.count_nonzero(difference))
        worst = max(worst, float(difference.max(initial=0.0)))
        largest = max(largest, float(np.abs(b[finite]).max(initial=0.0)))
    if measure == "fraction":
        return different / wanted.size if wanted.size else 0.0
    return worst / largest if largest else worst
