"""Histogram bins that no data chose: float32 numbers cut by sign, exponent and their leading mantissa bits.

Maps have any scale, so bins of equal width would have to be fitted to the map, and histograms of two scans could not be
compared. Here a bin is all float32 numbers that agree in sign, exponent and the first MANTISSA_BITS bits of the
mantissa: its width is at most 2^-MANTISSA_BITS of its lower edge. Bins are numbered by value; ZERO holds 0 and, as 0,
all that is smaller than 2^-126 / 2^MANTISSA_BITS in size.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MANTISSA_BITS = 4
_SHIFT = 23 - MANTISSA_BITS
_HALF = 1 << (8 + MANTISSA_BITS)  # bins of one sign
NUM_BINS = 2 * _HALF
ZERO = _HALF
_LABELS = 7  # label * NUM_BINS + bin fits 16 bits: the keys of a plane stay in the cache


def counts_per_label(values: NDArray[np.float32], labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(7, NUM_BINS) voxel counts. values: float32 (z, y, x), finite; labels: uint8 of the same shape, 0..6.

    Raises ValueError for other dtypes or shapes, and for labels above 6.
    """
    if values.dtype != np.float32 or labels.dtype != np.uint8 or values.shape != labels.shape:
        found = f"{values.dtype} {values.shape} and {labels.dtype} {labels.shape}"
        raise ValueError(f"[counts_per_label] expected float32 and uint8 of one shape, got {found}")
    if labels.size and int(labels.max()) >= _LABELS:
        raise ValueError(f"[counts_per_label] expected labels 0..{_LABELS - 1}, got {int(labels.max())}")
    raw = np.zeros(_LABELS * NUM_BINS, np.int64)
    for plane, label in zip(values, labels, strict=True):
        keys = (np.ascontiguousarray(plane).view(np.uint32) >> np.uint32(_SHIFT)).astype(np.uint16)
        keys |= label.astype(np.uint16) << np.uint16(9 + MANTISSA_BITS)
        raw += np.bincount(keys.ravel(), minlength=raw.size)
    by_sign = raw.reshape(_LABELS, 2, _HALF)
    out = np.concatenate([by_sign[:, 1, ::-1], by_sign[:, 0]], axis=1)  # a larger key of a negative number is smaller
    out[:, ZERO] += out[:, ZERO - 1]  # -0 and what is too small to tell from it
    out[:, ZERO - 1] = 0
    return np.ascontiguousarray(out)


@lru_cache(maxsize=1)
def bin_edges() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The smallest and the largest float32 number of every bin, (NUM_BINS,) each; both belong to it."""
    keys = np.arange(_HALF, dtype=np.uint32) << np.uint32(_SHIFT)
    with np.errstate(invalid="ignore"):
        low = keys.view(np.float32).astype(np.float64)
        high = (keys | np.uint32((1 << _SHIFT) - 1)).view(np.float32).astype(np.float64)
    high[0] = 0.0
    return np.concatenate([-high[::-1], low]), np.concatenate([-low[::-1], high])
