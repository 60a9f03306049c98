"""What a user would write with NumPy and SciPy for each op: not tuned against, not for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[Any]


def resample(volume: Array, shape: tuple[int, ...], order: int = 1) -> Array:
    zoom = [m / n for m, n in zip(shape, volume.shape, strict=True)]
    as_float = volume if order == 0 else volume.astype(np.float32)
    return ndimage.zoom(as_float, zoom, order=order, mode="nearest", grid_mode=True, prefilter=order > 1)


def argmax_resample(logits: Array, shape: tuple[int, ...]) -> Array:
    return np.argmax(np.stack([resample(one, shape) for one in logits]), axis=0).astype(np.uint8)


def layer_table(values: Array, labels: Array, num_layers: int) -> dict[str, Array]:
    """Boolean masks: count, sum, min, max and std per layer."""
    rows = []
    for layer in range(num_layers + 1):
        x = values[labels == layer]
        rows.append((x.size, x.sum(dtype=np.float64), x.min(), x.max(), x.std(dtype=np.float64)))
    return dict(zip(("count", "sum", "min", "max", "std"), map(np.array, zip(*rows, strict=True)), strict=True))


def layer_quantiles(values: Array, labels: Array, num_layers: int, quantiles: tuple[float, ...]) -> Array:
    return np.stack([np.quantile(values[labels == layer], quantiles) for layer in range(num_layers + 1)])


def layer_cam_sums(cam: Array, labels: Array, num_layers: int) -> Array:
    full = resample(cam, labels.shape)
    return np.bincount(labels.ravel(), full.ravel(), minlength=num_layers + 1)


def intensity(volume: Array, percentiles: tuple[float, ...]) -> tuple[float, float, Array]:
    return volume.mean(dtype=np.float64), volume.std(dtype=np.float64), np.percentile(volume, percentiles)


def zscore(volume: Array) -> Array:
    return ((volume - volume.mean(dtype=np.float64)) / volume.std(dtype=np.float64)).astype(np.float32)


def compose(image: Array, labels: Array, coalitions: Array, fill: Array) -> Array:
    return np.stack([np.where(row[labels], image, fill) for row in coalitions])
