"""What every case is compared with before it is timed: float64, from the definitions, at any size.

Resampling comes from the tests' oracle (dense matrices per axis); the rest is NumPy with boolean masks.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))

from oracle_resampling import axis_matrix, resample

__all__ = [
    "argmax",
    "clip",
    "gaussian_then_linear",
    "keep_linear",
    "keys",
    "map_means",
    "moments",
    "oblique",
    "quantiles",
    "resample",
    "zscore",
]
Array = NDArray[Any]
Shape = tuple[int, int, int]


def keep_linear(values: Array, shape: Shape) -> Array:
    """Linear, half-pixel, edges clamped."""
    return resample(values, shape)


def gaussian_then_linear(volume: Array, shape: Shape) -> Array:
    """How scikit-image and MONAI shrink without aliasing: a Gaussian of (step - 1) / 2, then linear."""
    from scipy import ndimage

    sigma = [max(0.0, (n / m - 1) / 2) for n, m in zip(volume.shape, shape, strict=True)]
    return resample(ndimage.gaussian_filter(volume.astype(np.float64), sigma, mode="nearest"), shape)


def keys(values: Array, shape: Shape, a: float) -> Array:
    """Keys' cubic with the free parameter a (Catmull-Rom: -1/2); taps outside take the edge voxel."""
    values = values.astype(np.float64)
    for axis, m in enumerate(shape):
        n = values.shape[axis]
        at = (np.arange(m) + 0.5) * n / m - 0.5
        low = np.floor(at).astype(int)
        weights = np.zeros((m, n))
        for tap in range(-1, 3):
            t = np.abs(at - low - tap)
            near = (a + 2) * t**3 - (a + 3) * t**2 + 1
            far = a * (t**3 - 5 * t**2 + 8 * t - 4)
            np.add.at(weights, (np.arange(m), np.clip(low + tap, 0, n - 1)), np.where(t < 1, near, far))
        values = np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)
    return values


def oblique(values: Array, shape: Shape, grid_map: Array) -> Array:
    """Linear under any affine map: eight neighbours, plane by plane."""
    values, out = values.astype(np.float64), np.empty(shape)
    edge = np.array(values.shape) - 1
    y, x = np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij")
    for z in range(shape[0]):
        at = np.stack([np.full_like(y, z), y, x], -1) @ grid_map[:3, :3].T + grid_map[:3, 3]
        at = np.clip(at, 0, edge)
        low = np.floor(at).astype(int)
        t, high = at - low, np.minimum(low + 1, edge)
        total = np.zeros(y.shape)
        for corner in np.ndindex(2, 2, 2):
            index = tuple(np.where(c, high[..., k], low[..., k]) for k, c in enumerate(corner))
            weight = np.prod([t[..., k] if c else 1 - t[..., k] for k, c in enumerate(corner)], axis=0)
            total += weight * values[index]
        out[z] = total
    return out


def argmax(logits: Array, shape: Shape) -> Array:
    """The class of the largest interpolated logit; one class at a time, so that seven large volumes are never held."""
    best, label = resample(logits[0], shape), np.zeros(shape, np.uint8)
    for k, one in enumerate(logits[1:], 1):
        here = resample(one, shape)
        label[here > best] = k
        np.maximum(best, here, out=best)
    return label


def map_means(maps: Array, labels: Array) -> Array:
    """(maps, 7): mean of each interpolated map in each layer, by the transposed matrices of the interpolation."""
    rows = []
    for layer in range(7):
        inside = (labels == layer).astype(np.float64)
        count = inside.sum()
        for axis, (n, m) in enumerate(zip(maps.shape[1:], labels.shape, strict=True)):
            matrix = axis_matrix("linear", (np.arange(m) + 0.5) * n / m - 0.5, n)
            inside = np.moveaxis(np.tensordot(matrix.T, inside, axes=(1, axis)), 0, axis)
        rows.append(np.tensordot(maps.astype(np.float64), inside, 3) / count)
    return np.stack(rows, 1)


def moments(values: Array, labels: Array, count: int = 7) -> dict[str, Array]:
    rows = []
    for layer in range(count):
        x = values[labels == layer].astype(np.float64)
        rows.append((x.size, x.sum(), x.mean(), x.min(), x.max(), x.std()))
    return dict(zip(("count", "sum", "mean", "min", "max", "std"), map(np.array, zip(*rows, strict=True)), strict=True))


def quantiles(values: Array, labels: Array, asked: tuple[float, ...], top: float) -> dict[str, Array]:
    """Quantiles and the share of the sum that the k = max(1, floor(top n + 1/2)) largest values hold."""
    rows, shares = [], []
    for layer in range(7):
        x = np.sort(values[labels == layer].astype(np.float64))
        rows.append(np.quantile(x, asked))
        k = max(1, int(np.floor(top * x.size + 0.5)))
        shares.append(x[-k:].sum() / x.sum())
    return {"quantiles": np.array(rows), "top_share": np.array(shares)}


def zscore(volume: Array) -> Array:
    inside = volume[volume != 0].astype(np.float64)
    return (volume - inside.mean()) / inside.std()


def clip(volume: Array, percentiles: tuple[float, float]) -> Array:
    low, high = np.percentile(volume.astype(np.float64), percentiles)
    return np.clip((volume - low) / (high - low), 0, 1)
