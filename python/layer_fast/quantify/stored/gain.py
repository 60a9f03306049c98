"""Gain: the mean density of the cases over that of the controls, a number of the cohort."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..cohort import Subjects
from ..definition_regions import DefinitionRegion
from ..reduction import Reduction, Statistic
from .evaluate import EXACT
from .maps import StoredMaps
from .moments import Floats
from .on_subjects import on_subjects


class Gain(NamedTuple):
    """value (regions,), NaN where a class has no subject with the region or the controls' mean is not above 0. why:
    what is missing where the densities do not follow from what is stored."""

    regions: list[DefinitionRegion]
    value: Floats
    why: str


def gain(maps: StoredMaps, definition: Reduction, subjects: Subjects) -> Gain:
    """mean over case subjects of mean_L(t) / mean over control subjects of mean_L(t), every subject with equal weight
    and the number that the definition's hierarchy gives it.

    Boehle et al. 2019, doi 10.3389/fnagi.2019.00194, on densities: with sums the thickness of a patient's layer would
    pose as relevance. A ratio of means says nothing where t has both signs: NaN unless both means are >= 0.
    """
    density = definition.model_copy(update={"statistic": Statistic(name="mean")})
    found = on_subjects(maps, density, subjects)
    if (found.how != EXACT).any():
        return Gain(found.regions, np.full(len(found.regions), np.nan), found.why or "a density is bounded only")
    case, control = subjects.split(found.value)
    above, below = _mean(case), _mean(control)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where((below > 0) & (above >= 0), above / below, np.nan)
    return Gain(found.regions, value, "")


def _mean(x: Floats) -> Floats:
    there = ~np.isnan(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(there, x, 0.0).sum(axis=0) / there.sum(axis=0))
