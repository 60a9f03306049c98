"""A definition on subject level: what its hierarchy makes of the numbers, or of the sums, of a subject's scans."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...types import REGIONS
from ..cohort import Subjects
from ..definition_regions import DefinitionRegion, regions_of
from ..hierarchy import Level
from ..nesting import Nesting, joined, nesting_of
from ..reduction import Reduction
from .evaluate import EXACT, HISTOGRAM, NEEDS_VOLUMES, evaluate, refused
from .exact import NO_SUMS, check_needs, transformed, with_known
from .maps import StoredMaps
from .moments import Bools, Floats
from .per_slice import every, slice_moments
from .quotients import parts, quotient


class OnSubjects(NamedTuple):
    """As `Evaluated`, with rows that are subjects in the order of `Subjects.names`. n: voxels of all scans that count.
    empty: level -> scans without a value there."""

    regions: list[DefinitionRegion]
    value: Floats
    error_bound: Floats
    how: NDArray[np.int8]
    n: Floats
    why: str
    empty: dict[Level, int]


def on_subjects(maps: StoredMaps, definition: Reduction, subjects: Subjects) -> OnSubjects:
    """Evaluate on every subject. A mean and a median rise with every number that they join, so bounds of the scans'
    numbers give bounds of the subject's. Raises what `evaluate` raises, and ConfigError for levels without a column."""
    nest = nesting_of(definition.hierarchy, maps.scan_ids, subjects, f"definition {definition.name!r}")
    if definition.hierarchy.ratio == "ratio_of_means":
        return _ratio_of_means(maps, definition, nest)
    found = evaluate(maps, definition)
    missing = ~nest.every(found.how != NEEDS_VOLUMES)
    bounded = ~nest.every(found.how != HISTOGRAM)
    value = nest.reduce(found.value)
    bound = np.zeros(value.shape)
    if bounded.any():
        low, high = (nest.reduce(found.value + side * found.error_bound) for side in (-1.0, 1.0))
        value = np.where(bounded, (low + high) / 2.0, value)
        bound = np.where(bounded, (high - low) / 2.0, 0.0)
    how = np.where(missing, NEEDS_VOLUMES, np.where(bounded, HISTOGRAM, EXACT)).astype(np.int8)
    value, bound = (np.where(missing, np.nan, x) for x in (value, bound))
    why = found.why if missing.any() else ""
    return OnSubjects(found.regions, value, bound, how, nest.total(found.n), why, nest.empty)


def _ratio_of_means(maps: StoredMaps, definition: Reduction, nest: Nesting) -> OnSubjects:
    """The parts of the quotient are joined by themselves, from slices where the hierarchy has them; groups that are no
    unions are pooled of the subject's numbers."""
    regions = regions_of(dict(enumerate(REGIONS)), definition)
    scans = maps.moments.n
    voxels = nest.total(np.stack([scans[:, list(r.labels)].sum(axis=1) for r in regions], axis=1))
    slices, why = None, refused(maps, definition)
    m = None
    if not why and definition.hierarchy.slices is not None:
        m, slices, why = slice_moments(maps, definition)
    elif not why:
        m, _, why = transformed(maps, definition)
    if m is None:
        nothing = np.full(voxels.shape, np.nan)
        how = np.full(voxels.shape, NEEDS_VOLUMES, np.int8)
        return OnSubjects(regions, nothing, nothing, how, voxels, why, nest.empty)
    check_needs(m, definition)

    def of(labels: tuple[int, ...]) -> tuple[Floats, Bools]:
        found, known = parts(m, definition, labels)
        if slices is not None:
            found = joined(found, slices.scan, definition.hierarchy.over["slice"])
            known = every(known[:, None], slices, maps)[:, 0]
        return quotient(definition, *nest.reduce(found).T), nest.every(known[:, None])[:, 0]

    value, known = with_known(regions, nest.total(scans), definition, of)
    how = np.where(known, EXACT, NEEDS_VOLUMES).astype(np.int8)
    bound = np.where(known, 0.0, np.nan)
    return OnSubjects(regions, value, bound, how, voxels, "" if known.all() else NO_SUMS, nest.empty)
