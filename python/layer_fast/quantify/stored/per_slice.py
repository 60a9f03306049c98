"""The slice level of a hierarchy: the statistic of every slice as of a map of its own, joined to the scan's number."""

from __future__ import annotations

import numpy as np

from ..definition_regions import DefinitionRegion
from ..nesting import joined
from ..reduction import Reduction
from .exact import NO_SUMS, OF_MOMENTS, check_invertible, check_needs, statistic_of, with_known
from .maps import Slices, StoredMaps
from .moments import Bools, Floats, Moments, inverted, normalised, normaliser, signed
from .quotients import parts, quotient


def per_slice(
    maps: StoredMaps, definition: Reduction, regions: list[DefinitionRegion]
) -> tuple[Floats, Bools, str]:
    """Value and whether it is known, (scans, regions), and what is missing. Raises as `exact` does."""
    nothing = np.full((len(maps.scan_ids), len(regions)), np.nan)
    m, slices, why = slice_moments(maps, definition)
    if m is None or slices is None:
        return nothing, np.zeros(nothing.shape, bool), why
    how = definition.hierarchy.over["slice"]
    if definition.hierarchy.ratio == "ratio_of_means":

        def of(labels: tuple[int, ...]) -> tuple[Floats, Bools]:
            found, known = parts(m, definition, labels)
            return quotient(definition, *joined(found, slices.scan, how).T), every(known[:, None], slices, maps)[:, 0]

        return *with_known(regions, maps.moments.n, definition, of), NO_SUMS
    value, known = with_known(regions, m.n, definition, lambda labels: statistic_of(m, definition, labels))
    known = every(known, slices, maps)
    return np.where(known, joined(value, slices.scan, how), np.nan), known, NO_SUMS


def every(known: Bools, slices: Slices, maps: StoredMaps) -> Bools:
    """(slices, C) -> (scans, C): whether it is known of all slices of the scan."""
    out = np.ones((len(maps.scan_ids), known.shape[1]), bool)
    np.logical_and.at(out, slices.scan, known)
    return out


def slice_moments(maps: StoredMaps, definition: Reduction) -> tuple[Moments | None, Slices | None, str]:
    """Moments of the slices after inversion, sign and normalisation (by the slice, volume, subject or cohort); None
    and the reason where they do not follow from what is stored."""
    spec, axis, slices = definition.normalise, definition.hierarchy.slices, maps.slices
    if slices is None or slices.axis != axis:
        return None, None, f"it needs the sums per slice along {axis}, which this run did not keep (option store)"
    if definition.clip is not None:
        return None, None, "percentiles of the map are no sums"
    if spec.kind == "rank":
        return None, None, "ranks are no sums"
    if definition.statistic.name not in OF_MOMENTS:
        why = f"{definition.statistic.name} needs the order of the voxels, and histograms are of volumes, not of slices"
        return None, None, why
    check_invertible(slices.moments, definition)
    m = signed(inverted(slices.moments, definition.invert), definition.sign)
    if spec.kind != "none":
        pools = {"slice": np.arange(len(m.n)), "volume": slices.scan, "subject": maps.subject[slices.scan],
                 "cohort": np.zeros(len(m.n), np.int64)}  # fmt: skip
        m = normalised(m, normaliser(m, definition, pools[spec.scope]))
    check_needs(m, definition)
    return m, slices, ""
