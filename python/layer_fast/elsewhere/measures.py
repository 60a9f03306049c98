"""From a field to the number of a region. What is absent never gets here; what has no value is NaN."""

from __future__ import annotations

from collections.abc import Callable
from math import fsum, nan
from typing import NamedTuple

import numpy as np

from ..errors import ConfigError
from ..quantify import Reduction
from .attention import auc_iou, effective_heat_ratio, intersection_over_attention
from .field import Field, Floats
from .ranks import pointing_game, top_overlap
from .total import Total

Codes = tuple[int, ...]
Measure = Callable[[Codes], "Measured"]
_MOMENTS = ("sum", "mean", "part_of_total_mean", "share", "energy_pointing_game", "inside_total_ratio", "enrichment",
            "min", "max")  # fmt: skip
_TIES = ("ties_at_threshold",)


class Measured(NamedTuple):
    value: float
    flags: tuple[str, ...] = ()


def measure(field: Field, definition: Reduction) -> Measure:
    """The function from a region's codes to its number; what all regions share is computed once.

    Raises ConfigError where the map's values are not what the statistic needs.
    """
    name = definition.statistic.name
    _check_needs(field, definition)
    if name in _MOMENTS:
        return _of_moments(field, definition)
    if name in ("std", "variance", "median", "quantile"):
        return _of_voxels(field, definition)
    return _of_total(field, definition)


def _check_needs(field: Field, definition: Reduction) -> None:
    needs = definition.statistic.needs
    if not needs:
        return
    low, high = field.extent(field.mask.codes_of(definition.statistic.total or "all"))
    if low < 0 or (needs == "0 <= t <= 1" and high > 1):
        hint = "sign: positive, negative or absolute" if needs == "t >= 0" else "normalise: min_max or max"
        what = f"definition {definition.name!r}: {definition.statistic.name} needs {needs}"
        raise ConfigError(f"{what}, found values from {low:g} to {high:g} after the transforms; say {hint}")


def _of_moments(field: Field, definition: Reduction) -> Measure:
    m, name, weighted = field.moments, definition.statistic.name, definition.statistic.weighted
    total = field.mask.codes_of(definition.statistic.total or "all")
    n_t, sum_t = fsum(m.weight[total]), fsum(m.sum[total])

    def value(codes: Codes) -> float:
        there = [code for code in codes if m.count[code] > 0]
        n, s = fsum(m.weight[there]), fsum(m.sum[there])
        if name in ("min", "max"):
            return float(m.min[there].min() if name == "min" else m.max[there].max())
        if name == "part_of_total_mean":
            return s / n_t if sum_t == sum_t else nan  # where voxels of the total have no value, nothing is split
        if name in ("sum", "mean"):
            return s if name == "sum" else s / n
        if not sum_t > 0:
            return nan
        return (s / n) / (sum_t / n_t) if name == "enrichment" or weighted else s / sum_t

    return lambda codes: Measured(value(codes))


def _of_voxels(field: Field, definition: Reduction) -> Measure:
    stat = definition.statistic
    q = {"median": 0.5}.get(stat.name, stat.q)

    def value(codes: Codes) -> float:
        weight = field.weight_of(codes)
        if weight is not None:
            return _spread(stat.name, field.t[weight > 0], weight[weight > 0])
        x = field.t[field.mask.voxels(codes)]
        return float(np.quantile(x, q)) if q is not None else _spread(stat.name, x, np.ones(x.size))

    return lambda codes: Measured(value(codes))


def _spread(name: str, x: Floats, weight: Floats) -> float:
    n = weight.sum()
    mean = (weight * x).sum() / n
    variance = float((weight * (x - mean) ** 2).sum() / n)
    return variance if name == "variance" else float(np.sqrt(variance))


def _of_total(field: Field, definition: Reduction) -> Measure:
    """Statistics of ranks and thresholds: they look at every voxel of the total."""
    stat = definition.statistic
    total = Total(field, stat.total or "all")
    if not total.t.size or np.isnan(total.t).any():
        return lambda codes: Measured(nan)
    if stat.name in ("rank_accuracy", "rank_overlap"):

        def ranked(codes: Codes) -> Measured:
            inside = total.inside(codes)
            value, decided = top_overlap(total.t, inside, int(inside.sum()))
            open_tie = stat.name == "rank_accuracy" and not decided
            return Measured(nan if open_tie else value, () if decided else _TIES)

        return ranked
    if stat.name in ("top_k_intersection", "concept_influence"):
        return _top(total, definition)
    if stat.name == "pointing_game":
        return lambda codes: Measured(pointing_game(total.t, total.inside(codes), bool(stat.weighted)))
    if stat.name == "effective_heat_ratio":
        of_region = effective_heat_ratio(total.t, bool(stat.weighted), stat.base_threshold or 0.0)
    elif stat.name == "intersection_over_attention":
        of_region = intersection_over_attention(total.t, bool(stat.weighted))
    else:
        of_region = auc_iou(total.t)
    return lambda codes: Measured(of_region(total.inside(codes)))


def _top(total: Total, definition: Reduction) -> Measure:
    k = top_size(definition, total.t.size)

    def value(codes: Codes) -> Measured:
        inside = total.inside(codes)
        part, decided = top_overlap(total.t, inside, k)
        scale = total.t.size / inside.sum() if definition.statistic.name == "concept_influence" else 1.0
        return Measured(float(part * scale), () if decided else _TIES)

    return value


def top_size(definition: Reduction, n_total: int) -> int:
    """k, or max(1, floor(fraction n_T + 1/2)), which is what `layer_reduce` calls its top fraction."""
    stat = definition.statistic
    if stat.k is None:
        return max(1, int(np.floor((stat.fraction or 0.0) * n_total + 0.5)))
    if stat.k > n_total:
        wanted = f"at most the {n_total} voxels of the total"
        raise ConfigError(f"definition {definition.name!r}: k: expected {wanted}, found {stat.k}")
    return stat.k
