"""Statistics of quantiles, ranks and thresholds from bins: bounds that enclose the voxels' number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..reduction import Reduction
from .bounds import Binned, quantile, spread_bounds
from .exact import OF_SUMS
from .moments import Floats

Bools = NDArray[np.bool_]
Bound = tuple[float, float]
BOUNDED = (*OF_SUMS, "min", "max", "std", "variance", "median", "quantile", "rank_overlap", "top_k_intersection",
           "concept_influence", "auc_iou", "effective_heat_ratio", "pointing_game")  # fmt: skip
_QUANTILES = np.linspace(0.0, 1.0, 11)
_CAP = 0.99  # of the maximum, as in the effective heat ratio of voxels


def unbounded(definition: Reduction) -> str:
    """Why a histogram of the volume gives no bound for this definition; "" where it does."""
    name = definition.statistic.name
    if name == "rank_accuracy":
        return "rank_accuracy has no value where a tie decides, which a histogram does not tell"
    if name == "intersection_over_attention":
        return "Otsu's threshold jumps with single voxels, so a histogram bounds nothing"
    if definition.normalise.scope == "slice":
        return "histograms are of volumes, not of slices"
    return "" if name in BOUNDED else f"{name} is no statistic of one map"


def bound_of(b: Binned, definition: Reduction) -> Callable[[tuple[int, ...]], Bound | None]:
    """The function from a region's labels to (low, high), None where nothing is certain. (NaN, NaN): no value.

    b: the bins after the transforms. What the statistic needs of them must have been checked.
    """
    stat = definition.statistic
    total = b.label > 0 if stat.total == "labelled" else np.ones(len(b.label), bool)
    t = Binned(b.label[total], b.count[total], b.low[total], b.high[total])

    def of(labels: tuple[int, ...]) -> Bound | None:
        inside = np.isin(b.label, labels)
        if stat.name in ("median", "quantile"):
            return quantile(b, inside, 0.5 if stat.q is None else stat.q)
        if stat.name in ("std", "variance"):
            low, high = spread_bounds(b.count[inside], b.low[inside], b.high[inside])
            return (low, high) if stat.name == "std" else (low * low, high * high)
        if stat.name in ("min", "max"):
            end = np.min if stat.name == "min" else np.max
            return float(end(b.low[inside])), float(end(b.high[inside]))
        if stat.name in OF_SUMS:
            return _of_sums(b, t, inside, np.isin(t.label, labels), definition)
        return _of_order(t, np.isin(t.label, labels), definition)

    return of


def _of_sums(b: Binned, t: Binned, inside: Bools, in_total: Bools, definition: Reduction) -> Bound | None:
    stat = definition.statistic
    n, n_t = float(b.count[inside].sum()), float(t.count.sum())
    low, high = (float((b.count * e)[inside].sum()) for e in (b.low, b.high))
    if stat.name in ("sum", "mean", "part_of_total_mean"):
        by = {"sum": 1.0, "mean": n, "part_of_total_mean": n_t}[stat.name]
        return low / by, high / by
    rest_low, rest_high = (float((t.count * e)[~in_total].sum()) for e in (t.low, t.high))
    if not high + rest_high > 0:
        return np.nan, np.nan
    if not low + rest_low > 0:
        return None  # there may be no mass to share
    per_voxel = n_t / n if stat.name == "enrichment" or stat.weighted else 1.0
    shares = (low / (low + rest_high) if low > 0 else 0.0, high / (high + rest_low) if high > 0 else 0.0)
    return shares[0] * per_voxel, shares[1] * per_voxel


def _of_order(t: Binned, inside: Bools, definition: Reduction) -> Bound | None:
    stat = definition.statistic
    n, n_t = float(t.count[inside].sum()), float(t.count.sum())
    if stat.name == "rank_overlap":
        return _top(t, inside, n)
    if stat.name in ("top_k_intersection", "concept_influence"):
        k = float(stat.k) if stat.k is not None else max(1.0, np.floor((stat.fraction or 0.0) * n_t + 0.5))
        if k > n_t:
            return None
        low, high = _top(t, inside, k)
        return (low, high) if stat.name == "top_k_intersection" else (low * n_t / n, high * n_t / n)
    if stat.name == "pointing_game":
        at_top = t.high >= t.low.max()
        sure = (t.low == t.high).all() if at_top.all() else (t.low == t.high)[at_top].all()
        hit = float(t.count[at_top & inside].sum() / t.count[at_top].sum())
        ends = (hit, hit) if sure or hit in (0.0, 1.0) else (0.0, 1.0)
        factor = 1.0 - n / n_t if stat.weighted else 1.0
        return ends[0] * factor, ends[1] * factor
    if stat.name == "auc_iou":
        return _auc_iou(t, inside)
    return _heat_ratio(t, inside, bool(stat.weighted), stat.base_threshold or 0.0)


def _top(t: Binned, inside: Bools, k: float) -> Bound:
    """Bounds of the share of the k largest voxels that lie inside. Bins that may overlap are one block; in the block
    that holds the k-th voxel the order is unknown, unless all its voxels are equal."""
    order = np.argsort(-t.low, kind="stable")
    low, high = t.low[order], t.high[order]
    later = np.maximum.accumulate(high[::-1])[::-1]  # a bin further down may reach up into a block
    block = np.cumsum(np.concatenate([[False], later[1:] < low[:-1]]))
    total = np.bincount(block, t.count[order])
    held = np.bincount(block, np.where(inside, t.count, 0.0)[order])
    before = np.concatenate([[0.0], np.cumsum(total)])
    at = int(np.searchsorted(before[1:], k, "left"))
    above, left = float(held[:at].sum()), k - float(before[at])
    mine = block == at
    if (low[mine] == high[mine]).all() and np.ptp(low[mine]) == 0:
        expected = (above + left * float(held[at]) / float(total[at])) / k
        return expected, expected
    least = max(0.0, left - float(total[at] - held[at]))
    return (above + least) / k, (above + min(left, float(held[at]))) / k


def _auc_iou(t: Binned, inside: Bools) -> Bound:
    """The integral with the fewest voxels inside and the most beside the region, and the other way round."""
    steps = np.unique(np.concatenate([[0.0], t.low, t.high]))
    n = float(t.count[inside].sum())
    widths, upper = np.diff(steps), steps[1:]

    def lit(ends: Floats, mask: Bools) -> Floats:
        order = np.argsort(ends[mask], kind="stable")
        below = np.concatenate([[0.0], np.cumsum(t.count[mask][order])])
        return np.asarray(below[-1] - below[np.searchsorted(ends[mask][order], upper, "left")])

    least = (widths * lit(t.low, inside) / (n + lit(t.high, ~inside))).sum()
    most = (widths * lit(t.high, inside) / (n + lit(t.low, ~inside))).sum()
    return float(least), float(most)


def _heat_ratio(t: Binned, inside: Bools, weighted: bool, base: float) -> Bound | None:
    """r(q) with the highest and the lowest threshold that the quantiles of the lit voxels allow, by trapezoids."""
    maybe, surely = t.high >= base, t.low >= base
    if not maybe.any():
        return np.nan, np.nan
    if not surely.any():
        return None
    floor = Binned(t.label, t.count, np.maximum(t.low, base), t.high)
    open_ends = maybe & ~surely
    overlap = open_ends.any() and t.high[open_ends].max() > t.low[surely].min()
    lows, highs = [], []
    for q in _QUANTILES:
        lower = quantile(floor, maybe, float(q))[0]
        upper = float(t.high.max()) if overlap else quantile(t, surely, float(q))[1]
        at_least = max(base, min(lower, _CAP * float(t.low.max())))
        at_most = max(base, min(upper, _CAP * float(t.high.max())))
        sure, may = t.low >= at_most, t.high >= at_least
        in_low, in_high, out_low, out_high = (
            float(t.count[which].sum()) for which in (sure & inside, may & inside, sure & ~inside, may & ~inside)
        )
        if weighted:
            heat = float((t.count * t.low)[sure & inside].sum()), float((t.count * t.high)[may & inside].sum())
            lows.append(heat[0] / max(1.0, in_high + out_high))
            highs.append(heat[1] / max(1.0, in_low + out_low))
        else:
            lows.append(in_low / (in_low + out_high) if in_low else 0.0)
            highs.append(in_high / (in_high + out_low) if in_high else 0.0)
    return tuple(float(((r[1:] + r[:-1]) / 2.0 * np.diff(_QUANTILES)).sum()) for r in map(np.array, (lows, highs)))  # type: ignore[return-value]
