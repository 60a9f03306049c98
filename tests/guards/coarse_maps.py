"""Pooling and interpolation written apart from the library: what a coarse map does to a field."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pooled(field: NDArray[np.float64], grid: tuple[int, int, int]) -> NDArray[np.float64]:
    """Block means: every axis of the field is a multiple of the grid's."""
    split = [part for n, m in zip(field.shape, grid, strict=True) for part in (m, n // m)]
    return field.reshape(split).mean(axis=(1, 3, 5))


def upsampled(values: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Half-pixel linear interpolation with clamped edges, one axis after another."""
    out = values
    for axis, n in enumerate(shape):
        m = out.shape[axis]
        x = np.clip((np.arange(n) + 0.5) * m / n - 0.5, 0, m - 1)
        low = np.minimum(np.floor(x).astype(int), max(m - 2, 0))
        high, part = np.minimum(low + 1, m - 1), x - low
        part = part.reshape([-1 if a == axis else 1 for a in range(3)])
        out = np.take(out, low, axis) * (1 - part) + np.take(out, high, axis) * part
    return out
