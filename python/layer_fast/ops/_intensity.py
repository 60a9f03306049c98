"""Statistics and normalisation of intensities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from layer_fast.ops._arrays import Placed, apart, give, output, same_memory, stream_of, take, thread_count
from layer_fast.ops._device import DeviceArray
from layer_fast.ops._moments import IntensityStats
from layer_fast.ops._native import core

_DTYPES = ("uint8", "int16", "uint16", "float32")
_AXES = (1, 2, 3, 4, 5)
_METHODS = ("zscore", "percentile", "minmax", "window")


def intensity_stats(
    volume: Any, *, percentiles: Sequence[float] = (), within: Any = "all", threads: int | None = None
) -> IntensityStats:
    """Moments, percentiles and (integers) histogram of a volume of any shape.

    volume: uint8, int16, uint16 or float32. within: which voxels count: "all", "nonzero", or a mask (bool or uint8,
    the volume's shape, 0 leaves out). NaN and Inf never count; those chosen are reported in `nonfinite`.
    percentiles: in [0, 100], exact, the linear definition of numpy.percentile. std has ddof 0. Integers are counted
    in a histogram, so all their figures are exact up to one rounding; float32 is summed in float64.
    Raises TypeError (dtype), ValueError (shapes, percentiles, within), DeviceError.
    """
    return _stats(_volume(volume, "intensity_stats"), percentiles, within, threads, "intensity_stats")


def normalize(
    volume: Any,
    *,
    method: str = "zscore",
    within: Any = "all",
    dtype: DTypeLike = "float32",
    percentiles: tuple[float, float] | None = None,
    window: tuple[float, float] | None = None,
    out: Any = None,
    threads: int | None = None,
) -> Any:
    """A volume of any shape with its intensities changed by one line, as float32.

    zscore: (x - mean) / std. percentile: clip((x - p_lo) / (p_hi - p_lo), 0, 1), percentiles=(p_lo, p_hi) with
    default (0.5, 99.5). minmax: the same from minimum to maximum. window: clip((x - lo) / (hi - lo), 0, 1) with
    window=(lo, hi) given. `within` (as in `intensity_stats`) chooses the voxels that the statistics see; the change
    is made to all voxels. NaN and Inf are left out of the statistics; NaN stays NaN, Inf stays or is clipped.
    out: float32 of the same shape, C-contiguous; it may be the volume itself.
    Raises ValueError where the line is not defined: no voxel chosen, std 0, lo not below hi; TypeError (dtype).
    """
    op = "normalize"
    source = _volume(volume, op)
    if np.dtype(dtype) != np.float32:
        raise ValueError(f"[{op}] expected dtype float32, got {np.dtype(dtype).name}")
    result = output(out, op, source.shape, np.float32, source)
    if not (same_memory(result, source) and source.dtype == np.float32):
        apart(result, op, volume=source)
    shift, scale = _line(source, method, within, percentiles, window, threads)
    count, stream = thread_count(threads, op), stream_of(op, volume=source, out=result)
    core.normalize(source, result, shift=shift, scale=scale, clip=method != "zscore", threads=count, stream=stream)
    return give(result, volume, out)


def _volume(volume: Any, op: str) -> Placed:
    source = take(volume, op, "volume", dtypes=_DTYPES, axes=_AXES)
    if source.size == 0:
        raise ValueError(f"[{op}] expected a volume with voxels, got shape {source.shape}")
    return source


def _within(within: Any, shape: tuple[int, ...], op: str) -> tuple[str, Placed | None]:
    if isinstance(within, str):
        if within not in ("all", "nonzero"):
            raise ValueError(f"[{op}] expected within to be 'all', 'nonzero' or a mask, got {within!r}")
        return within, None
    mask = take(within, op, "within", dtypes=("bool", "uint8"), axes=_AXES)
    if mask.shape != shape:
        raise ValueError(f"[{op}] expected a mask of shape {shape}, got {mask.shape}")
    return "mask", mask.as_bytes() if isinstance(mask, DeviceArray) else mask.view(np.uint8)


def _stats(
    source: Placed,
    percentiles: Sequence[float],
    within: Any,
    threads: int | None,
    op: str,
    histogram: bool = True,
    only_ranks: bool = False,
) -> IntensityStats:
    kind, mask = _within(within, source.shape, op)
    asked = [float(p) for p in percentiles]
    whole = source.dtype != np.float32
    counted = whole and (histogram or bool(asked))
    bins = np.empty(256 if source.dtype == np.uint8 else 65536, np.int64) if counted else None
    found = core.intensity_stats(
        source,
        within=kind,
        mask=mask,
        percentiles=asked,
        histogram=bins,
        only_ranks=only_ranks,
        threads=thread_count(threads, op),
        stream=stream_of(op, volume=source, within=mask),
    )
    found["percentiles"] = np.asarray(found["percentiles"], np.float64)
    low = -32768 if source.dtype == np.int16 else 0
    return IntensityStats(**found, histogram=bins, histogram_low=low)


def _line(
    source: Placed, method: str, within: Any, percentiles: Any, window: Any, threads: int | None
) -> tuple[float, float]:
    """(shift, scale) of out = (x - shift) / scale, for the method."""
    op = "normalize"
    if method not in _METHODS:
        raise ValueError(f"[{op}] expected method {', '.join(_METHODS)}, got {method!r}")
    for name, given, owner in (("percentiles", percentiles, "percentile"), ("window", window, "window")):
        if given is not None and (method != owner or len(given) != 2):
            raise ValueError(f"[{op}] expected {name}=(lo, hi) with method {owner!r} only, got {given} with {method!r}")
    if method == "window":
        if window is None:
            raise ValueError(f"[{op}] expected window=(lo, hi) with method 'window', got None")
        return _between(float(window[0]), float(window[1]), "window")
    asked = (percentiles or (0.5, 99.5)) if method == "percentile" else ()
    stats = _stats(source, asked, within, threads, op, histogram=False, only_ranks=method == "percentile")
    if stats.count == 0:
        raise ValueError(f"[{op}] expected voxels to take statistics of, got none ({stats.nonfinite} are NaN or Inf)")
    if method == "zscore":
        if stats.std == 0:
            raise ValueError(f"[{op}] expected voxels that differ, got std 0 (all are {stats.mean})")
        return stats.mean, stats.std
    if method == "minmax":
        return _between(stats.min, stats.max, "minimum and maximum")
    return _between(float(stats.percentiles[0]), float(stats.percentiles[1]), f"percentiles {asked}")


def _between(low: float, high: float, what: str) -> tuple[float, float]:
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(f"[normalize] expected {what} as finite lo < hi, got {low} and {high}")
    return low, high - low
