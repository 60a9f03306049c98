"""Loops compiled by Numba: written as carefully as a user with time would, and as most are written at first."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import njit, prange

from rivals import Inputs, Method

PACKAGE = "numba"
THREADED = True


def set_threads(count: int) -> None:
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))


@njit(parallel=True, fastmath=True, cache=True)
def _trilinear(volume, out, iz, tz, iy, ty, ix, tx):  # type: ignore[no-untyped-def]
    """Blend four rows into one, then read it along x: most arithmetic runs over contiguous memory."""
    width = volume.shape[2]
    for z in prange(out.shape[0]):
        row = np.empty(width, np.float32)
        z0, wz = iz[z], tz[z]
        z1 = min(z0 + 1, volume.shape[0] - 1)
        for y in range(out.shape[1]):
            y0, wy = iy[y], ty[y]
            y1 = min(y0 + 1, volume.shape[1] - 1)
            a, b = (np.float32(1) - wz) * (np.float32(1) - wy), (np.float32(1) - wz) * wy
            c, d = wz * (np.float32(1) - wy), wz * wy
            for x in range(width):
                row[x] = a * volume[z0, y0, x] + b * volume[z0, y1, x] + c * volume[z1, y0, x] + d * volume[z1, y1, x]
            for x in range(out.shape[2]):
                x0 = ix[x]
                left = row[x0]
                out[z, y, x] = left + tx[x] * (row[min(x0 + 1, width - 1)] - left)


@njit(parallel=True, fastmath=True, cache=True)
def _eight_neighbours(volume, out, iz, tz, iy, ty, ix, tx):  # type: ignore[no-untyped-def]
    """Eight voxels and their weights for each voxel of the output."""
    one = np.float32(1)
    for z in prange(out.shape[0]):
        z0, wz = iz[z], tz[z]
        z1 = min(z0 + 1, volume.shape[0] - 1)
        for y in range(out.shape[1]):
            y0, wy = iy[y], ty[y]
            y1 = min(y0 + 1, volume.shape[1] - 1)
            for x in range(out.shape[2]):
                x0, wx = ix[x], tx[x]
                x1 = min(x0 + 1, volume.shape[2] - 1)
                near = (one - wy) * ((one - wx) * volume[z0, y0, x0] + wx * volume[z0, y0, x1])
                near += wy * ((one - wx) * volume[z0, y1, x0] + wx * volume[z0, y1, x1])
                far = (one - wy) * ((one - wx) * volume[z1, y0, x0] + wx * volume[z1, y0, x1])
                far += wy * ((one - wx) * volume[z1, y1, x0] + wx * volume[z1, y1, x1])
                out[z, y, x] = (one - wz) * near + wz * far


def axis(n_in: int, n_out: int) -> tuple[Any, Any]:
    """Half-pixel: the lower neighbour and the weight of the upper one."""
    at = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
    low = at.astype(np.int64)
    return low, (at - low).astype(np.float32)


def _linear(inputs: Inputs) -> Any:
    return _with(_trilinear, inputs)


def _plain_linear(inputs: Inputs) -> Any:
    return _with(_eight_neighbours, inputs)


def _with(loop: Any, inputs: Inputs) -> Any:
    volume, shape = inputs["volume"], inputs["shape"]
    tables = [table for n, m in zip(volume.shape, shape, strict=True) for table in axis(n, m)]
    out = np.ones(shape, np.float32)

    def call() -> Any:
        loop(volume, out, *tables)
        return out

    return call


@njit(parallel=True, cache=True)
def _moments(values, labels, parts):  # type: ignore[no-untyped-def]
    count = np.zeros((parts, 7), np.int64)
    sums, squares = np.zeros((parts, 7)), np.zeros((parts, 7))
    low, high = np.full((parts, 7), np.inf, np.float32), np.full((parts, 7), -np.inf, np.float32)
    step = (values.size + parts - 1) // parts
    for part in prange(parts):
        for i in range(part * step, min((part + 1) * step, values.size)):
            k, x = labels[i], values[i]
            count[part, k] += 1
            sums[part, k] += x
            squares[part, k] += np.float64(x) * x
            low[part, k] = min(low[part, k], x)
            high[part, k] = max(high[part, k], x)
    return count, sums, squares, low, high


def _reduce(inputs: Inputs) -> Any:
    values, labels = inputs["values"].reshape(-1), inputs["labels"].reshape(-1)

    def call() -> dict[str, Any]:
        count, sums, squares, low, high = _moments(values, labels, 4 * numba.get_num_threads())
        n, total = count.sum(0), sums.sum(0)
        mean = total / n
        std = np.sqrt(np.maximum(squares.sum(0) / n - mean**2, 0))
        return {"count": n, "sum": total, "mean": mean, "min": low.min(0), "max": high.max(0), "std": std}

    return call


LINEAR = {"numba": Method(_linear), "numba, plain loop": Method(_plain_linear)}
METHODS = {"linear": LINEAR, "reduce": {"numba": Method(_reduce)}}
