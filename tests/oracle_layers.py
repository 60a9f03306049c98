"""Layer and intensity ops in slow, obvious float64 NumPy. Both twins answer to these functions."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def half_pixel_map(out_shape: tuple[int, ...], in_shape: tuple[int, ...]) -> Array:
    """The default grid map: x_in = (x_out + 1/2) n_in / n_out - 1/2 along each axis."""
    matrix = np.eye(4)
    for axis, (n_out, n_in) in enumerate(zip(out_shape, in_shape, strict=True)):
        matrix[axis, axis] = n_in / n_out
        matrix[axis, 3] = 0.5 * n_in / n_out - 0.5
    return matrix


def corners(point: Array, shape: tuple[int, ...]) -> list[tuple[tuple[int, ...], float]]:
    """The map voxels that one label voxel reads, with their linear weights; coordinates clamped to the edges."""
    per_axis = []
    for value, n in zip(point, shape, strict=True):
        clamped = min(max(float(value), 0.0), n - 1.0)
        low = math.floor(clamped)
        t = clamped - low
        per_axis.append([(low, 1.0 - t)] + ([(low + 1, t)] if t > 0 else []))
    return [
        (tuple(i for i, _ in combo), math.prod(w for _, w in combo)) for combo in itertools.product(*per_axis)
    ]


def interpolate(values: Array, shape: tuple[int, ...], grid_map: Array | None = None) -> Array:
    """A coarse map (mz, my, mx) read at every voxel of the labels' grid."""
    matrix = half_pixel_map(shape, values.shape) if grid_map is None else np.asarray(grid_map, float)
    out = np.empty(shape)
    for index in np.ndindex(*shape):
        point = matrix[:3, :3] @ np.array(index, float) + matrix[:3, 3]
        out[index] = sum(float(values[c]) * w for c, w in corners(point, values.shape))
    return out


def layer_weights(labels: Array, map_shape: tuple[int, ...], num_layers: int, grid_map: Array | None = None) -> Array:
    """(num_layers + 1, mz, my, mx): how much every map voxel counts in every layer's sum."""
    matrix = half_pixel_map(labels.shape, map_shape) if grid_map is None else np.asarray(grid_map, float)
    out = np.zeros((num_layers + 1, *map_shape))
    for index in np.ndindex(*labels.shape):
        point = matrix[:3, :3] @ np.array(index, float) + matrix[:3, 3]
        for corner, weight in corners(point, map_shape):
            out[(int(labels[index]), *corner)] += weight
    return out


def layer_row(values: Array, labels: Array, layer: int) -> dict[str, float]:
    """Statistics of one map inside one layer, both on the labels' grid."""
    flat = values.astype(np.float64).ravel()
    inside = labels.ravel() == layer
    finite = inside & np.isfinite(flat)
    x = flat[finite]
    out: dict[str, float] = {
        "count": x.size,
        "nonfinite": int(inside.sum()) - x.size,
        "sum": math.fsum(x),
        "sum_sq": math.fsum(x * x),
        "sum_abs": math.fsum(abs(x)),
        "sum_pos": math.fsum(x[x > 0]),
        "min": x.min() if x.size else math.nan,
        "max": x.max() if x.size else math.nan,
        "argmax": int(np.flatnonzero(finite)[np.argmax(x)]) if x.size else -1,
    }
    return out


def weighted_row(values: Array, weights: Array) -> dict[str, float]:
    """The same with a soft mask of one layer instead of labels."""
    flat, w = values.astype(np.float64).ravel(), weights.astype(np.float64).ravel()
    used = (w > 0) & np.isfinite(flat)
    x, w = flat[used], w[used]
    return {
        "count": x.size,
        "weight": math.fsum(w),
        "sum": math.fsum(w * x),
        "sum_sq": math.fsum(w * x * x),
        "sum_abs": math.fsum(w * abs(x)),
        "sum_pos": math.fsum(w[x > 0] * x[x > 0]),
        "min": x.min() if x.size else math.nan,
        "max": x.max() if x.size else math.nan,
    }


def top_share(x: Array, fraction: float) -> float:
    """Share of the sum held by the k = max(1, floor(fraction n + 1/2)) largest values."""
    x = x.astype(np.float64)
    total = math.fsum(x)
    if x.size == 0 or total == 0:
        return math.nan
    k = max(1, math.floor(fraction * x.size + 0.5))
    return math.fsum(np.sort(x)[::-1][:k]) / total


def histogram(x: Array, low: float, high: float, bins: int) -> tuple[Array, int, int]:
    """(counts per bin, underflow, overflow); the last bin holds its upper edge."""
    counts = np.zeros(bins, np.int64)
    for value in x.astype(np.float64):
        if low <= value <= high:
            counts[min(int((value - low) * (bins / (high - low))), bins - 1)] += 1
    return counts, int((x < low).sum()), int((x > high).sum())


def used_voxels(volume: Array, within: Any) -> Array:
    """The finite values that the statistics see."""
    flat = volume.astype(np.float64).ravel()
    keep = np.isfinite(flat)
    if isinstance(within, str):
        return flat[keep & (flat != 0)] if within == "nonzero" else flat[keep]
    return flat[keep & (np.asarray(within).ravel() != 0)]


def intensity_stats(volume: Array, percentiles: tuple[float, ...] = (), within: Any = "all") -> dict[str, Any]:
    x = used_voxels(volume, within)
    if x.size == 0:
        empty = dict.fromkeys(("min", "max", "mean", "std"), math.nan)
        return {"count": 0, "sum": 0.0, **empty, "percentiles": np.full(len(percentiles), math.nan)}
    mean = math.fsum(x) / x.size
    return {
        "count": x.size,
        "sum": math.fsum(x),
        "min": x.min(),
        "max": x.max(),
        "mean": mean,
        "std": math.sqrt(math.fsum((x - mean) ** 2) / x.size),
        "percentiles": np.percentile(x, percentiles) if percentiles else np.empty(0),
    }


def normalize(
    volume: Array, method: str, within: Any = "all", percentiles: Any = (0.5, 99.5), window: Any = None
) -> Array:
    x, inside = volume.astype(np.float64), used_voxels(volume, within)
    if method == "zscore":
        stats = intensity_stats(volume, within=within)
        return (x - stats["mean"]) / stats["std"]
    if method == "window":
        low, high = window
    elif method == "minmax":
        low, high = inside.min(), inside.max()
    else:
        low, high = np.percentile(inside, percentiles)
    return np.clip((x - low) / (high - low), 0, 1)


def layer_compose(image: Array, labels: Array, coalitions: Array, fill_values: Array) -> Array:
    """(N, C, z, y, x): voxel of layer k keeps the image where coalitions[n, k], else it takes the fill."""
    fill = np.asarray(fill_values)
    fill = fill[:, labels] if fill.ndim == 2 else fill
    rows = [np.where(row[labels], image, fill) for row in coalitions]
    return np.stack(rows) if rows else np.empty((0, *image.shape))
