"""One scan's map as bins with an interval each, after a definition's transforms: what is certain, and what is not.

Every voxel of a bin has a value in [low, high] of it. All steps keep that true, so what is computed of the lower and
the upper ends encloses what the voxels would give.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..bins import bin_edges
from ..reduction import Normalise, Reduction
from .maps import ScanHistogram
from .moments import Floats

ROUNDING = 2.0**-20  # of the largest |s|: two ways of interpolating in float32 differ by less


@dataclass(frozen=True, slots=True)
class Binned:
    """label, count, low, high: one entry per label and bin that hold voxels."""

    label: NDArray[np.int64]
    count: Floats
    low: Floats
    high: Floats


def binned(histogram: ScanHistogram, least: Floats, most: Floats) -> Binned:
    """least, most (7,): the map's extremes per label, which cut the outermost bins (with room for rounding)."""
    low, high = (edge[histogram.bin] for edge in bin_edges())
    room = ROUNDING * np.nanmax(np.abs(np.concatenate([least, most])), initial=0.0)
    zero = low == high
    cut_low = np.where(zero, low, np.maximum(low, np.minimum(least[histogram.label] - room, high)))
    cut_high = np.where(zero, high, np.minimum(high, np.maximum(most[histogram.label] + room, low)))
    return Binned(histogram.label, histogram.voxels.astype(np.float64), cut_low, cut_high)


def transformed_bins(b: Binned, definition: Reduction, line: tuple[float, float] | None) -> Binned | None:
    """After inversion, sign, clipping, normalisation over the volume. line: (scale, shift) where it is known exactly;
    (NaN, NaN): the map has nothing to normalise by. None where no bound is finite."""
    if definition.invert != "none":
        low, high = -b.high, -b.low
        b = replace(b, low=low, high=high) if definition.invert == "negate" else replace(b, low=1 + low, high=1 + high)
    if definition.sign == "absolute":
        straddles = (b.low < 0) & (b.high > 0)
        ends = np.abs(b.low), np.abs(b.high)
        b = replace(b, low=np.where(straddles, 0.0, np.minimum(*ends)), high=np.maximum(*ends))
    elif definition.sign != "none":
        low, high = (b.low, b.high) if definition.sign == "positive" else (-b.high, -b.low)
        b = replace(b, low=np.maximum(low, 0.0), high=np.maximum(high, 0.0))
    if definition.clip is not None:
        clipped = _clipped(b, definition.clip.percentiles, definition.clip.voxels == "labelled")
        if clipped is None:
            return None
        b = clipped
    if line is not None:
        scale, shift = line
        return replace(b, low=scale * b.low + shift, high=scale * b.high + shift)
    return _normalised(b, definition.normalise)


def _clipped(b: Binned, percentiles: list[float], labelled: bool) -> Binned | None:
    chosen = b.label > 0 if labelled else np.ones(len(b.label), bool)
    if not chosen.any():
        return None
    (lower_l, lower_h), (upper_l, upper_h) = (quantile(b, chosen, p / 100.0) for p in percentiles)
    low = np.minimum(np.maximum(b.low, lower_l), upper_l)
    high = np.minimum(np.maximum(b.high, lower_h), upper_h)
    return replace(b, low=low, high=np.maximum(low, high))


def _normalised(b: Binned, spec: Normalise) -> Binned | None:
    """By ends that are themselves intervals: the extremes of a formula that is monotone in each lie at its corners."""
    if spec.kind == "none":
        return b
    chosen = b.label > 0 if spec.voxels == "labelled" else np.ones(len(b.label), bool)
    if not chosen.any():
        return None
    if spec.kind == "rank":
        return _ranked(b, chosen)
    c, low, high = b.count[chosen], b.low[chosen], b.high[chosen]
    least, most = (low.min(), high.min()), (low.max(), high.max())
    if spec.kind == "min_max":
        if not most[0] > least[1]:
            return None
        corners = [(e - m) / (top - m) for m in least for top in most for e in (b.low, b.high)]
    elif spec.kind == "z_score":
        n = c.sum()
        mean = ((c * low).sum() / n, (c * high).sum() / n)
        spread = spread_bounds(c, low, high)
        if not spread[0] > 0:
            return None
        corners = [(e - m) / s for m in mean for s in spread for e in (b.low, b.high)]
    else:
        by = most if spec.kind == "max" else ((c * low).sum(), (c * high).sum())
        if not by[0] > 0:
            return None
        corners = [e / d for d in by for e in (b.low, b.high)]
    out_low, out_high = np.min(corners, axis=0), np.max(corners, axis=0)
    if spec.kind == "min_max":  # the voxels that it is taken over cannot leave 0..1
        out_low, out_high = (np.where(chosen, np.clip(e, 0.0, 1.0), e) for e in (out_low, out_high))
    elif spec.kind == "max":
        out_high = np.where(chosen, np.minimum(out_high, 1.0), out_high)
    return replace(b, low=out_low, high=out_high)


def _ranked(b: Binned, chosen: NDArray[np.bool_]) -> Binned:
    """(voxels below + half of those equal) / n: at least those surely below, at most those that may be equal."""
    c, low, high = b.count[chosen], b.low[chosen], b.high[chosen]
    n = c.sum()
    surely_below = _counted(high, c, b.low, "left")
    maybe_upto = _counted(low, c, b.high, "right")
    same = (b.low == b.high) & (_counted(low, c, b.low, "left") == surely_below)
    same &= _counted(high, c, b.high, "right") == maybe_upto
    middle = (surely_below + maybe_upto) / (2.0 * n)
    return replace(b, low=np.where(same, middle, surely_below / n), high=np.where(same, middle, maybe_upto / n))


def _counted(ends: Floats, counts: Floats, at: Floats, side: str) -> Floats:
    """Voxels whose end lies below `at` (side "left") or not above it ("right")."""
    order = np.argsort(ends, kind="stable")
    upto = np.concatenate([[0.0], np.cumsum(counts[order])])
    return np.asarray(upto[np.searchsorted(ends[order], at, "left" if side == "left" else "right")])


def quantile(b: Binned, chosen: NDArray[np.bool_], q: float) -> tuple[float, float]:
    """Bounds of numpy's linear quantile of the chosen voxels: order statistics rise with every value."""
    return _quantile(b.low[chosen], b.count[chosen], q), _quantile(b.high[chosen], b.count[chosen], q)


def _quantile(x: Floats, counts: Floats, q: float) -> float:
    order = np.argsort(x, kind="stable")
    upto = np.cumsum(counts[order])
    place = q * (upto[-1] - 1.0)
    first = np.floor(place)
    a, z = (x[order][np.searchsorted(upto, i, "right")] for i in (first, min(first + 1.0, upto[-1] - 1.0)))
    return float(a + (place - first) * (z - a))


def spread_bounds(count: Floats, low: Floats, high: Floats) -> tuple[float, float]:
    """Bounds of the standard deviation (ddof 0). It is a seminorm: moving voxels by d changes it by at most rms(d)."""
    n = count.sum()
    middle, half = (low + high) / 2.0, (high - low) / 2.0
    mean = (count * middle).sum() / n
    spread = float(np.sqrt((count * (middle - mean) ** 2).sum() / n))
    moved = float(np.sqrt((count * half * half).sum() / n))
    return max(0.0, spread - moved), spread + moved
