"""Numbers of a definition's regions on the labels of a run, of groups that are no unions too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..definition_regions import DefinitionRegion
from ..reduction import Reduction

Floats = NDArray[np.float64]
OfLabels = Callable[[tuple[int, ...]], Floats]


def values_of(regions: list[DefinitionRegion], n: Floats, definition: Reduction, of: OfLabels) -> Floats:
    """(scans, regions): `of` for labels and unions, the definition's pooling for other groups, NaN for what is absent.

    n: voxels (scans, 7). A member without voxels is left out, one that is there without a value leaves the group none;
    the background has no number relative to the labelled voxels. An absent region has the sum 0.
    """
    by_key = {region.key: region for region in regions}
    cut = definition.statistic.total == "labelled"

    def union(labels: tuple[int, ...]) -> Floats:
        there = n[:, list(labels)].sum(axis=1) > 0
        nothing = 0.0 if definition.statistic.name == "sum" else np.nan
        value = np.full(len(n), np.nan) if cut and 0 in labels else of(labels)
        return np.where(there, value, nothing)

    def pooled(region: DefinitionRegion) -> Floats:
        group = region.group
        if group is None or group.pooling == "union":
            return union(region.labels)
        members = [by_key[name] for name in group.members]
        there = np.stack([n[:, list(one.labels)].sum(axis=1) > 0 for one in members])
        values = np.where(there, np.stack([pooled(one) for one in members]), 0.0)
        weights = np.ones(len(members)) if group.weights is None else np.array(group.weights)
        if group.pooling == "sum_of_shares":
            value = values.sum(axis=0)
        elif group.pooling == "max":
            value = np.where(there, values, -np.inf).max(axis=0)
            value = np.where(np.isnan(np.where(there, values, 0.0)).any(axis=0), np.nan, value)
        else:
            with np.errstate(invalid="ignore", divide="ignore"):
                value = (weights[:, None] * values).sum(axis=0) / (weights[:, None] * there).sum(axis=0)
        return np.where(there.any(axis=0), value, union(region.labels))

    return np.stack([pooled(region) for region in regions], axis=1)
