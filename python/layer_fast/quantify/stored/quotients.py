"""Statistics that are quotients of sums: their parts, and the quotient of parts, of one scan or of many joined."""

from __future__ import annotations

import numpy as np

from ..reduction import Reduction
from .moments import Bools, Floats, Moments


def summed(m: Moments, labels: list[int]) -> tuple[Floats, Bools]:
    """(units,) sum over the labels that are there, and whether it is known."""
    there = m.n > 0
    known = (m.s.known | ~there)[:, labels].all(axis=1)
    return np.where(there, m.s.x, 0.0)[:, labels].sum(axis=1), np.asarray(known)


def quotient(definition: Reduction, s: Floats, n: Floats, s_t: Floats, n_t: Floats) -> Floats:
    """The statistic from sum and voxels of the region and of the total; NaN where the total has no mass to share."""
    stat = definition.statistic
    with np.errstate(divide="ignore", invalid="ignore"):
        if stat.name == "mean":
            return np.asarray(s / n)
        if stat.name == "part_of_total_mean":
            return np.where(np.isnan(s_t), np.nan, s / n_t)
        per_voxel = stat.name == "enrichment" or bool(stat.weighted)
        ratio = (s / n) / (s_t / n_t) if per_voxel else s / s_t
        return np.where(s_t > 0, ratio, np.nan)


def parts(m: Moments, definition: Reduction, labels: tuple[int, ...]) -> tuple[Floats, Bools]:
    """(units, 4): sum and voxels of the region, sum and voxels of the total, and whether they are known, (units,).

    A unit without the region, or whose map has nothing to normalise by, has none of the four, so that numerator and
    denominator are of the same units. A map of zeros has parts, and no mass in either.
    """
    own, stat = list(labels), definition.statistic
    total = list(range(1, 7)) if stat.total == "labelled" else list(range(7))
    n, n_t = m.n[:, own].sum(axis=1), m.n[:, total].sum(axis=1)
    s, known = summed(m, own)
    s_t, all_known = (np.zeros(len(s)), known) if stat.name == "mean" else summed(m, total)
    out = np.stack([s, n, s_t, n_t], axis=1)
    out[(n == 0) | np.isnan(s) | np.isnan(s_t)] = np.nan
    return out, (known & all_known) | (n == 0)
