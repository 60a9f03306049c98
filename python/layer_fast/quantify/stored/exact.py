"""A definition from sums, minima and maxima: exact numbers, and where they do not follow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...errors import ConfigError
from ..definition_regions import DefinitionRegion
from ..reduction import Reduction
from .maps import StoredMaps
from .moments import Bools, Floats, Known, Line, Moments, folded, inverted, normaliser, shifted, signed
from .regions import values_of

OF_SUMS = ("sum", "mean", "part_of_total_mean", "share", "energy_pointing_game", "inside_total_ratio", "enrichment")
LINE_ROUNDING = 1e-5  # a line of large numbers may carry the maximum a little above 1
OF_MOMENTS = (*OF_SUMS, "min", "max", "std", "variance", "pointing_game")


class Exact(NamedTuple):
    """value, known (scans, regions); NaN where known False. m: the moments behind it (scans, 7), None where there are
    none. line: the normalisation of each scan, which histograms use too. why: what is missing, in words."""

    value: Floats
    known: Bools
    m: Moments | None
    line: Line | None
    why: str


def exact(maps: StoredMaps, definition: Reduction, regions: list[DefinitionRegion]) -> Exact:
    """Evaluate on every scan of a cell. Raises ConfigError where values are not what the statistic needs."""
    nothing = np.full((len(maps.scan_ids), len(regions)), np.nan)
    m, line, why = transformed(maps, definition)
    if m is None:
        return Exact(nothing, np.zeros(nothing.shape, bool), None, line, why)
    name = definition.statistic.name
    _check_needs(m, definition)
    if name not in OF_MOMENTS:
        nan_map = _without_value(maps, line)
        known = np.broadcast_to(nan_map[:, None], nothing.shape) | (_present(regions, m.n) == 0)
        return Exact(nothing, known, m, line, f"{name} needs the order of the voxels")
    value = values_of(regions, m.n, definition, lambda labels: _statistic(m, definition, labels)[0])
    sure = values_of(
        regions, m.n, definition, lambda labels: np.where(_statistic(m, definition, labels)[1], 0.0, np.nan)
    )
    known = ~np.isnan(sure) | (_present(regions, m.n) == 0)
    if definition.statistic.total == "labelled":
        known = known | np.array([0 in region.labels for region in regions])
    return Exact(np.where(known, value, np.nan), known, m, line, "it does not follow from sums, minimum and maximum")


def transformed(maps: StoredMaps, definition: Reduction) -> tuple[Moments | None, Line | None, str]:
    """The moments after inversion, sign and normalisation, folded to scans; None and the reason where they cannot."""
    spec = definition.normalise
    by_slice = spec.scope == "slice"
    if definition.clip is not None:
        return None, None, "percentiles of the map are no sums"
    if by_slice and (maps.slices is None or maps.slices.axis != spec.axis):
        return None, None, f"it needs the sums per slice along {spec.axis}, which this run did not keep (option store)"
    m = maps.slices.moments if by_slice and maps.slices is not None else maps.moments
    _check_invertible(m, definition)
    m = signed(inverted(m, definition.invert), definition.sign)
    if spec.kind == "none":
        return m, None, ""
    if spec.kind == "rank":
        return None, None, "ranks are no sums"
    scans = len(maps.scan_ids)
    units = np.arange(len(m.n))
    pool = {"subject": maps.subject, "cohort": np.zeros(scans, np.int64)}.get(spec.scope, units)
    line = normaliser(m, definition, pool)
    t = shifted(m, line.scale, line.shift)
    ok = line.known
    t = Moments(t.n, *(type(k)(k.x, k.known & ok) for k in (t.s, t.sq, t.abs, t.pos, t.low, t.high)))
    return (folded(t, maps.slices.scan, scans), None, "") if by_slice and maps.slices is not None else (t, line, "")


def _without_value(maps: StoredMaps, line: Line | None) -> Bools:
    """Scans whose map has nothing to normalise by: every number of theirs is NaN."""
    if line is None:
        return np.zeros(len(maps.scan_ids), bool)
    return np.asarray((np.isnan(line.scale) & line.known)[:, 0])


def _present(regions: list[DefinitionRegion], n: Floats) -> Floats:
    return np.stack([n[:, list(region.labels)].sum(axis=1) for region in regions], axis=1)


def _check_invertible(m: Moments, definition: Reduction) -> None:
    low, high = np.nanmin(m.low.x, initial=np.inf), np.nanmax(m.high.x, initial=-np.inf)
    if definition.invert == "one_minus" and not (low >= -1e-6 and high <= 1 + 1e-6):
        raise ConfigError(f"definition {definition.name!r}: invert 'one_minus' expects maps in 0..1, found {low:g} to "
                          f"{high:g}; 'negate' turns any map over")  # fmt: skip


def _check_needs(m: Moments, definition: Reduction) -> None:
    needs = definition.statistic.needs
    columns = slice(1, None) if definition.statistic.total == "labelled" else slice(None)
    low, high = m.low.x[:, columns][m.low.known[:, columns]], m.high.x[:, columns][m.high.known[:, columns]]
    least, most = np.nanmin(low, initial=np.inf), np.nanmax(high, initial=-np.inf)
    room = 0.0 if definition.normalise.kind == "none" else LINE_ROUNDING
    if (needs and least < 0) or (needs == "0 <= t <= 1" and most > 1 + room):
        what = f"definition {definition.name!r}: {definition.statistic.name} needs {needs}"
        raise ConfigError(f"{what}, found values from {least:g} to {most:g} after the transforms; say sign: positive, "
                          "negative or absolute, or normalise")  # fmt: skip


def _statistic(m: Moments, definition: Reduction, labels: tuple[int, ...]) -> tuple[Floats, Bools]:
    """(scans,) value and whether it is known, of the union of the labels."""
    stat, own = definition.statistic, list(labels)
    total = list(range(1, 7)) if stat.total == "labelled" else list(range(7))
    n, n_t = m.n[:, own].sum(axis=1), m.n[:, total].sum(axis=1)
    there = m.n > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        if stat.name in OF_SUMS:
            s, known = _sum(m, own)
            s_t, all_known = _sum(m, total)
            if stat.name in ("sum", "mean"):
                return (s if stat.name == "sum" else s / n), known
            if stat.name == "part_of_total_mean":
                return np.where(np.isnan(s_t), np.nan, s / n_t), known & all_known
            per_voxel = stat.name == "enrichment" or bool(stat.weighted)
            ratio = (s / n) / (s_t / n_t) if per_voxel else s / s_t
            return np.where(s_t > 0, ratio, np.nan), known & all_known
        if stat.name in ("min", "max"):
            end = m.low if stat.name == "min" else m.high
            return _extreme(m, end, own, stat.name), np.asarray((end.known | ~there)[:, own].all(axis=1))
        if stat.name == "pointing_game":
            return _pointing_game(m, own, total, bool(stat.weighted))
        s, known = _sum(m, own)
        mean = s / n
        variance = np.maximum(np.where(there, m.sq.x, 0.0)[:, own].sum(axis=1) / n - mean * mean, 0.0)
        known = known & (m.sq.known | ~there)[:, own].all(axis=1)
        return (variance if stat.name == "variance" else np.sqrt(variance)), known


def _sum(m: Moments, labels: list[int]) -> tuple[Floats, Bools]:
    there = m.n > 0
    known = (m.s.known | ~there)[:, labels].all(axis=1)
    return np.where(there, m.s.x, 0.0)[:, labels].sum(axis=1), np.asarray(known)


def _extreme(m: Moments, ends: Known, labels: list[int], name: str) -> Floats:
    """Over the labels that are there; NaN where one of them has no value."""
    there = m.n[:, labels] > 0
    filled = np.where(there, ends.x[:, labels], np.inf if name == "min" else -np.inf)
    end = filled.min(axis=1) if name == "min" else filled.max(axis=1)
    return np.where(there.any(axis=1), end, np.nan)


def _pointing_game(m: Moments, own: list[int], total: list[int], weighted: bool) -> tuple[Floats, Bools]:
    """1 where all labels that reach the maximum are in the region, 0 where none is; unknown where some are."""
    highest = _extreme(m, m.high, total, "max")
    at_top = m.high.x == highest[:, None]
    outside = [k for k in total if k not in own]
    inside, beside = at_top[:, own].any(axis=1), at_top[:, outside].any(axis=1)
    known = (m.high.known | (m.n == 0))[:, total].all(axis=1) & ~(inside & beside)
    part = m.n[:, own].sum(axis=1) / m.n[:, total].sum(axis=1)
    hit = np.where(np.isnan(highest), np.nan, inside.astype(np.float64))
    return hit * (1.0 - part) if weighted else hit, np.asarray(known)
