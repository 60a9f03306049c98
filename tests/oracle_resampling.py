"""Oracles of resample, resample_labels and argmax_resample: one output voxel at a time from the definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def half_pixel_map(shape_in: tuple[int, ...], shape_out: tuple[int, ...]) -> Floats:
    """x_in = (x_out + 1/2) n_in / n_out - 1/2 as a 4 x 4 matrix."""
    matrix = np.eye(4)
    for axis, (n_in, n_out) in enumerate(zip(shape_in, shape_out, strict=True)):
        matrix[axis, axis] = n_in / n_out
        matrix[axis, 3] = 0.5 * n_in / n_out - 0.5
    return matrix


def triangle(t: Floats) -> Floats:
    return np.maximum(1 - np.abs(t), 0)


def catmull_rom(t: Floats) -> Floats:
    t = np.abs(t)
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


def bspline3(t: Floats) -> Floats:
    t = np.abs(t)
    return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.where(t < 2, (2 - t) ** 3 / 6, 0.0))


def _folded(kernel: Callable[[Floats], Floats], x: float, n: int, *, mirror: bool) -> Floats:
    """Weights of the n samples at clamped coordinate x; taps outside fold onto the edge or the mirror image."""
    x = min(max(x, 0.0), n - 1.0)
    weights = np.zeros(n)
    for tap in range(int(np.floor(x)) - 3, int(np.floor(x)) + 5):
        inside = min(max(tap, 0), n - 1)
        if mirror and n > 1:
            inside = abs((tap + (n - 1)) % (2 * (n - 1)) - (n - 1))
        weights[inside] += kernel(np.array(x - tap))
    return weights


def _prefilter_matrix(n: int) -> Floats:
    """Coefficients = inverse of the matrix of B-spline values at the samples (mirrored)."""
    return np.linalg.inv(np.array([_folded(bspline3, float(i), n, mirror=True) for i in range(n)]))


def axis_matrix(
    interpolation: str, coordinates: Floats, n: int, scale: float = 1.0, *, antialias: bool = False
) -> Floats:
    """Row o holds the weights of the n input samples for output o."""
    kernel = {"linear": triangle, "cubic": catmull_rom, "bspline": bspline3}.get(interpolation, triangle)
    rows = []
    for x in coordinates:
        if interpolation == "nearest":
            rows.append(np.eye(n)[int(np.floor(min(max(x, 0), n - 1) + 0.5))])
        elif antialias and scale > 1:
            weights = kernel((np.arange(n) - x) / scale)
            rows.append(weights / weights.sum())
        else:
            rows.append(_folded(kernel, float(x), n, mirror=interpolation == "bspline"))
    return np.array(rows)


def resample(
    volume: NDArray[Any],
    shape: tuple[int, int, int],
    *,
    interpolation: str = "linear",
    antialias: bool = False,
    grid_map: Floats | None = None,
    window: tuple[float, float] | None = None,
) -> Floats:
    """Weights of every input voxel for every output voxel, then one sum."""
    matrix = half_pixel_map(volume.shape, shape) if grid_map is None else np.asarray(grid_map, float)
    values = volume.astype(np.float64)
    if interpolation == "bspline":
        for axis, n in enumerate(volume.shape):
            values = np.moveaxis(np.tensordot(_prefilter_matrix(n), values, axes=(1, axis)), 0, axis)
    if np.count_nonzero(matrix[:3, :3] - np.diag(np.diag(matrix[:3, :3]))) == 0:
        result = _aligned(values, shape, matrix, interpolation, antialias)
    else:
        result = _oblique(values, shape, matrix, interpolation)
    if window is None:
        return result
    low, high = (float(np.float32(edge)) for edge in window)
    return np.clip((result - low) / (high - low), 0, 1)


def _aligned(values: Floats, shape: tuple[int, ...], matrix: Floats, interpolation: str, antialias: bool) -> Floats:
    for axis, n_out in enumerate(shape):
        # Rounded, so that a coordinate half way between two voxels is a tie here too and not 2.4999999999999996.
        coordinates = np.round(matrix[axis, axis] * np.arange(n_out) + matrix[axis, 3], 9)
        scale = abs(matrix[axis, axis])
        weights = axis_matrix(interpolation, coordinates, values.shape[axis], scale, antialias=antialias)
        values = np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)
    return values


def _oblique(values: Floats, shape: tuple[int, ...], matrix: Floats, interpolation: str) -> Floats:
    result = np.zeros(shape)
    for index in np.ndindex(*shape):
        at = matrix[:3, :3] @ np.array(index, float) + matrix[:3, 3]
        wz, wy, wx = (axis_matrix(interpolation, at[a : a + 1], values.shape[a])[0] for a in range(3))
        result[index] = np.einsum("zyx,z,y,x", values, wz, wy, wx)
    return result


def resample_labels_nearest(labels: NDArray[np.uint8], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    return resample(labels, shape, interpolation="nearest").astype(np.uint8)


def resample_labels_fraction(
    labels: NDArray[np.uint8], shape: tuple[int, int, int], num_labels: int, grid_map: Floats | None = None
) -> Floats:
    """Share of each output voxel's box that each label fills; the edge voxels go on for ever."""
    matrix = half_pixel_map(labels.shape, shape) if grid_map is None else np.asarray(grid_map, float)
    onehot = np.stack([labels == k for k in range(num_labels)]).astype(np.float64)
    for axis, n_out in enumerate(shape):
        n, size = labels.shape[axis], abs(matrix[axis, axis])
        weights = np.zeros((n_out, n))
        edges = np.arange(n + 1.0)
        edges[0], edges[-1] = -np.inf, np.inf
        for o in range(n_out):
            centre = matrix[axis, axis] * o + matrix[axis, 3] + 0.5
            overlap = np.minimum(centre + size / 2, edges[1:]) - np.maximum(centre - size / 2, edges[:-1])
            weights[o] = np.maximum(overlap, 0) / size
        onehot = np.moveaxis(np.tensordot(weights, onehot, axes=(1, axis + 1)), 0, axis + 1)
    return onehot


def argmax_resample(logits: NDArray[np.float32], shape: tuple[int, int, int], grid_map: Any = None) -> Floats:
    """Full-size logits of every class in float64, (classes, z, y, x); the label is their argmax."""
    return np.stack([resample(one, shape, grid_map=grid_map) for one in logits])
