"""A definition on the stored maps of a cell: exact where it follows, with a bound where a histogram gives one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...types import REGIONS
from ..definition_regions import DefinitionRegion, regions_of
from ..reduction import Reduction
from .bounded import bound_of, unbounded
from .bounds import Binned, binned, transformed_bins
from .exact import LINE_ROUNDING, Exact, exact
from .maps import StoredMaps
from .moments import Floats
from .regions import values_of

EXACT, HISTOGRAM, NEEDS_VOLUMES = 0, 1, 2
HOW = ("exact", "histogram", "needs_volumes")


class Evaluated(NamedTuple):
    """value, error_bound (scans, regions): the voxels' number lies within value +- error_bound (0 where exact, NaN with
    needs_volumes). how: EXACT, HISTOGRAM or NEEDS_VOLUMES. n: voxels. why: what is missing for the last, in words."""

    regions: list[DefinitionRegion]
    value: Floats
    error_bound: Floats
    how: NDArray[np.int8]
    n: Floats
    why: str


def evaluate(maps: StoredMaps, definition: Reduction) -> Evaluated:
    """Raises ConfigError for groups that do not fit and for maps whose values are not what the statistic needs."""
    regions = regions_of(dict(enumerate(REGIONS)), definition)
    voxels = np.stack([maps.moments.n[:, list(r.labels)].sum(axis=1) for r in regions], axis=1)
    if why := _refused(maps, definition):
        nothing = np.full(voxels.shape, np.nan)
        return Evaluated(regions, nothing, nothing, np.full(voxels.shape, NEEDS_VOLUMES, np.int8), voxels, why)
    found = exact(maps, definition, regions)
    how = np.where(found.known, EXACT, NEEDS_VOLUMES).astype(np.int8)
    value, bound = found.value.copy(), np.where(found.known, 0.0, np.nan)
    why = "" if found.known.all() else found.why
    if why and (no_bound := unbounded(definition)):
        why = f"{why}; {no_bound}"
    elif why and not maps.histograms:
        why = f"{why}, and this run kept no histograms (option store)"
    elif why:
        _fill(maps, definition, regions, found, value, bound, how)
        why = f"{why}; its histogram leaves it open" if (how == NEEDS_VOLUMES).any() else ""
    return Evaluated(regions, value, bound, how, voxels, why)


def _refused(maps: StoredMaps, definition: Reduction) -> str:
    """Why no stored statistic can do, whatever the numbers."""
    if definition.mask.kind != "hard":
        return f"a mask that is {definition.mask.kind} weighs other voxels"
    if definition.channels in ("mean", "max", "l2") and maps.channels:
        return f"channels pooled by {definition.channels} are another map than their sum"
    if definition.channels == "sum" and maps.cell.key["channel"]:
        return "the definition is of the sum over channels: see the rows without a channel"
    return ""


def _fill(
    maps: StoredMaps,
    definition: Reduction,
    regions: list[DefinitionRegion],
    found: Exact,
    value: Floats,
    bound: Floats,
    how: NDArray[np.int8],
) -> None:
    """Write bounds from histograms where the exact way knows nothing."""
    for i, scan in enumerate(maps.scan_ids):
        open_ones = how[i] == NEEDS_VOLUMES
        if not open_ones.any() or scan not in maps.histograms:
            continue
        ends = _ends(maps, i, definition, regions, found)
        if ends is None:
            continue
        low, high = ends
        done = open_ones & (np.isfinite(low) & np.isfinite(high) | (np.isnan(low) & np.isnan(high)))
        value[i, done], bound[i, done] = (low[done] + high[done]) / 2.0, (high[done] - low[done]) / 2.0
        how[i, done] = HISTOGRAM


def _ends(
    maps: StoredMaps, i: int, definition: Reduction, regions: list[DefinitionRegion], found: Exact
) -> tuple[Floats, Floats] | None:
    m = maps.moments
    line = None
    if found.line is not None and found.line.known[i, 0]:
        line = float(found.line.scale[i, 0]), float(found.line.shift[i, 0])
    elif definition.normalise.scope in ("subject", "cohort") and definition.normalise.kind != "none":
        return None  # one scan's histogram says nothing of the others
    start = binned(maps.histograms[maps.scan_ids[i]], m.low.x[i], m.high.x[i])
    b = transformed_bins(start, definition, line)
    if b is None or not _fits(b.low, b.high, b.label, definition):
        return None
    if definition.statistic.needs:  # what rounding left outside
        most = 1.0 if definition.statistic.needs == "0 <= t <= 1" else np.inf
        b = Binned(b.label, b.count, np.clip(b.low, 0.0, most), np.clip(b.high, 0.0, most))
    of = bound_of(b, definition)

    def end(side: int) -> Floats:
        def one(labels: tuple[int, ...]) -> Floats:
            if not n[0, list(labels)].sum() > 0:
                return np.array([np.nan])
            got = of(labels)
            return np.array([(np.inf if side else -np.inf) if got is None else got[side]])

        return np.asarray(values_of(regions, n, definition, one)[0], np.float64)

    n = m.n[i : i + 1]
    with np.errstate(invalid="ignore"):
        return end(0), end(1)


def _fits(low: Floats, high: Floats, label: NDArray[np.int64], definition: Reduction) -> bool:
    """Whether all values are surely what the statistic needs, to rounding of a normalisation that was exact."""
    needs = definition.statistic.needs
    chosen = label > 0 if definition.statistic.total == "labelled" else np.ones(len(label), bool)
    if not needs or not chosen.any():
        return True
    least, most = low[chosen].min(), high[chosen].max()
    return bool(least >= -LINE_ROUNDING and (needs == "t >= 0" or most <= 1 + LINE_ROUNDING))
