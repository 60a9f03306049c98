"""Statistics of the lit area at one or many thresholds. Each returns a function from the region's voxels to its number.

t: the voxels of the total, finite. What depends on t alone is computed once.
"""

from __future__ import annotations

from collections.abc import Callable
from math import nan

import numpy as np

from .field import Bools, Floats

_BINS = 256
_QUANTILES = np.linspace(0.0, 1.0, 11)
_CAP = 0.99  # of the maximum: so that the last area is not one voxel

OfRegion = Callable[[Bools], float]


def effective_heat_ratio(t: Floats, weighted: bool, base_threshold: float) -> OfRegion:
    """Area under r(q), q = 0, 0.1 .. 1, by trapezoids; NaN where no voxel reaches the base threshold."""
    lit = np.flatnonzero(t >= base_threshold)
    if not lit.size:
        return lambda inside: nan
    order = lit[np.argsort(t[lit], kind="stable")]
    heat = t[order]
    taus = np.minimum(np.quantile(heat, _QUANTILES), _CAP * heat[-1])
    starts = np.searchsorted(heat, taus, "left")  # a tau below the base lights no further voxel

    def area(inside: Bools) -> float:
        parts = np.where(inside[order], heat if weighted else 1.0, 0.0)
        ratios = np.array([parts[start:].sum() / (heat.size - start) for start in starts])
        return float(((ratios[1:] + ratios[:-1]) / 2.0 * np.diff(_QUANTILES)).sum())

    return area


def otsu_threshold(t: Floats) -> float:
    """Otsu's threshold of 256 equal bins between minimum and maximum: the centre of the last bin of the lower class."""
    counts, edges = np.histogram(t, _BINS)
    centres = (edges[1:] + edges[:-1]) / 2.0
    below, above = np.cumsum(counts)[:-1], np.cumsum(counts[::-1])[::-1][1:]
    mass = counts * centres
    mean_below, mean_above = np.cumsum(mass)[:-1] / below, np.cumsum(mass[::-1])[::-1][1:] / above
    between = below.astype(np.float64) * above * (mean_below - mean_above) ** 2
    # Empty bins give equal values but for rounding, which must not choose: the first of them.
    return float(centres[int(np.flatnonzero(between >= between.max() * (1 - 1e-12))[0])])


def intersection_over_attention(t: Floats, weighted: bool) -> OfRegion:
    """The part of the attention {t >= Otsu's threshold} that lies inside; NaN for a constant map."""
    if not t.max() > t.min():
        return lambda inside: nan
    lit = t >= otsu_threshold(t)
    parts = np.where(lit, t if weighted else 1.0, 0.0)
    whole = float(parts.sum())
    return lambda inside: float(parts[inside].sum()) / whole if whole > 0 else nan


def auc_iou(t: Floats) -> OfRegion:
    """Integral over tau in 0..1 of the IoU of {t > tau} and the region, exact: a step function with steps at the values
    of t."""
    order = np.argsort(t, kind="stable")[::-1]
    values = t[order]
    last = np.append(np.flatnonzero(np.diff(values)), t.size - 1)  # of every run of equal values
    widths = values[last] - np.append(values[last][1:], 0.0)

    def area(inside: Bools) -> float:
        both = np.cumsum(inside[order])[last]
        either = (last + 1) + int(inside.sum()) - both
        return float((widths * (both / either)).sum())

    return area
