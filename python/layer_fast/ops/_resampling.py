"""Volumes and labels on other grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from layer_fast.ops._arrays import Placed, affine_map, apart, give, output, stream_of, take, thread_count, three
from layer_fast.ops._device import DeviceArray
from layer_fast.ops._native import core

VOLUME_DTYPES = ("uint8", "int16", "uint16", "float32")
INTERPOLATIONS = ("nearest", "linear", "cubic", "bspline")


def resample(
    volume: Any,
    shape: Sequence[int],
    *,
    interpolation: str = "linear",
    antialias: bool = False,
    grid_map: Any = None,
    window: tuple[float, float] | None = None,
    dtype: DTypeLike | None = None,
    out: Any = None,
    threads: int | None = None,
) -> Any:
    """Volume (z, y, x) on a grid of `shape`, as the caller's kind of array; or N volumes of one grid (N, z, y, x) as
    (N, *shape): the bytes of N calls, on a GPU in the launches of one ("bspline": of N).

    volume: uint8, int16, uint16 or float32. interpolation: "nearest" (halves go up), "linear", "cubic"
    (Catmull-Rom, Keys' kernel with a = -1/2), "bspline" (interpolating cubic B-spline, mirror prefilter: scipy's
    order 3). Coordinates are clamped to the centres of the outermost voxels; taps beyond them take the edge voxel
    (bspline: the mirror image).
    antialias: along axes that shrink, the kernel of linear or cubic is widened by the scale and its weights are
    normalised over the voxels inside the volume (the filter of PIL and of torch with antialias=True).
    grid_map: 4 x 4, output index -> input index (z, y, x) at voxel centres; default is the half-pixel formula
    x_in = (x_out + 1/2) n_in / n_out - 1/2, which keeps the field of view.
    window: (lo, hi), writes clip((x - lo) / (hi - lo), 0, 1). dtype: float32 (default) or the volume's own, then
    rounded half to even and saturated. A NaN reaches exactly the outputs that give its voxel a weight (for bspline
    the prefilter spreads it along its lines); next to an infinite voxel the result may be infinite or NaN.
    out: C-contiguous, of the result's shape and dtype; it may share no memory with the volume.
    Same bytes for any `threads`. Raises TypeError (dtype, no array), ValueError (anything else), DeviceError.
    """
    op = "resample"
    source = take(volume, op, "volume", dtypes=VOLUME_DTYPES, axes=(3, 4))
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f"[{op}] expected interpolation nearest, linear, cubic or bspline, got {interpolation!r}")
    wanted = np.dtype(np.float32 if dtype is None else dtype)
    if wanted not in (np.dtype(np.float32), source.dtype):
        raise ValueError(f"[{op}] expected dtype float32 or the volume's {source.dtype.name}, got {wanted.name}")
    result = output(out, op, (*source.shape[:-3], *three(shape, op)), wanted, source)
    apart(result, op, volume=source)
    matrix = affine_map(grid_map, op)
    filtered = interpolation == "bspline" and _mixes_axes(matrix)
    stream = stream_of(op, volume=source, out=result)
    core.resample(
        source,
        result,
        output(None, op, source.shape, np.float32, source) if filtered else None,
        interpolation=interpolation,
        antialias=bool(antialias),
        grid_map=matrix,
        window=_window(window, op),
        threads=thread_count(threads, op),
        stream=stream,
    )
    return give(result, volume, out)


def resample_labels(
    labels: Any,
    shape: Sequence[int],
    *,
    mode: str = "nearest",
    num_labels: int | None = None,
    grid_map: Any = None,
    out: Any = None,
    threads: int | None = None,
) -> Any:
    """Labels uint8 (z, y, x) on a grid of `shape`.

    mode "nearest": uint8 labels, halves go up. mode "fraction": float32 (num_labels, z, y, x), the share of each
    output voxel's box that each label fills, so that a layer of one voxel survives shrinking; the fractions of a
    voxel sum to 1. num_labels counts the background; None takes the largest label + 1. A label beyond it is a
    ValueError. grid_map as in `resample`; "fraction" needs one that mixes no axes and has no scale of 0.
    out: C-contiguous, as the result; it may share no memory with the labels.
    """
    op = "resample_labels"
    source = take(labels, op, "labels", dtypes=["uint8"], axes=3)
    target = three(shape, op)
    if mode == "nearest":
        result = output(out, op, target, "uint8", source)
    elif mode == "fraction":
        result = output(out, op, (_label_count(source, num_labels), *target), "float32", source)
    else:
        raise ValueError(f"[{op}] expected mode nearest or fraction, got {mode!r}")
    apart(result, op, labels=source)
    matrix, count = affine_map(grid_map, op), thread_count(threads, op)
    stream = stream_of(op, labels=source, out=result)
    core.resample_labels(source, result, grid_map=matrix, threads=count, stream=stream)
    return give(result, labels, out)


def argmax_resample(
    logits: Any, shape: Sequence[int], *, grid_map: Any = None, out: Any = None, threads: int | None = None
) -> Any:
    """Labels uint8 of `shape` (z, y, x): the class whose linearly interpolated logit is the largest.

    logits: float32 (classes, z, y, x), 1 to 256 classes, on the model's grid; they are interpolated row by row and
    never held at full size. Ties go to the lowest class. Logits that are NaN or infinite are a ValueError that
    counts them. grid_map as in `resample`: index of `shape` -> index of the logits' grid.
    out: uint8, C-contiguous, of `shape`; it may share no memory with the logits.
    """
    op = "argmax_resample"
    source = take(logits, op, "logits", dtypes=["float32"], axes=4)
    result = output(out, op, three(shape, op), "uint8", source)
    apart(result, op, logits=source)
    matrix, count = affine_map(grid_map, op), thread_count(threads, op)
    stream = stream_of(op, logits=source, out=result)
    core.argmax_resample(source, result, grid_map=matrix, threads=count, stream=stream)
    return give(result, logits, out)


def _label_count(labels: Placed, num_labels: int | None) -> int:
    count = _largest(labels) + 1 if num_labels is None else int(num_labels)
    if not 1 <= count <= 256:
        raise ValueError(f"[resample_labels] expected num_labels from 1 to 256, got {num_labels}")
    return count


def _largest(labels: Placed) -> int:
    if labels.size == 0:
        return 0
    return int(labels.owner.max() if isinstance(labels, DeviceArray) else labels.max())


def _mixes_axes(matrix: list[float] | None) -> bool:
    """Whether an output axis reads along another input axis: then bspline needs its coefficients in full."""
    return matrix is not None and any(matrix[4 * a + b] != 0 for a in range(3) for b in range(3) if a != b)


def _window(window: tuple[float, float] | None, op: str) -> tuple[float, float] | None:
    if window is None:
        return None
    low, high = (float(np.float32(edge)) for edge in window)
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"[{op}] expected window (lo, hi) of finite numbers with lo < hi, got {window}")
    return low, high
