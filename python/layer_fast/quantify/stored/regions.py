"""The regions of a definition on the labels of a run, and numbers of groups that are no unions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...types import REGIONS
from ..reduction import Group, Reduction
from ..regions import RegionKind

Floats = NDArray[np.float64]
OfLabels = Callable[[tuple[int, ...]], Floats]


@dataclass(frozen=True, slots=True)
class StoredRegion:
    """A row of the result. labels: every label value in it, groups of groups flattened."""

    name: str
    kind: RegionKind
    labels: tuple[int, ...]
    group: Group | None = None

    @property
    def key(self) -> str:
        """As a group names its members."""
        return f"group:{self.name}" if self.kind == "group" else self.name


def regions_of(definition: Reduction) -> list[StoredRegion]:
    """Background, the six layers, the definition's groups. Raises ConfigError for a member that is not there, a group
    inside itself, and a sum of shares whose members overlap."""
    out = [StoredRegion(name, "background" if v == 0 else "layer", (v,)) for v, name in enumerate(REGIONS)]
    for name, group in definition.groups.items():
        labels = _flat(name, definition, ())
        if group.pooling == "sum_of_shares" and len(set(labels)) != len(labels):
            raise ConfigError(f"definition {definition.name!r}: the members of group {name!r} overlap, and a sum would "
                              "count voxels twice")  # fmt: skip
        out.append(StoredRegion(name, "group", tuple(sorted(set(labels))), group))
    return out


def _flat(name: str, definition: Reduction, inside: tuple[str, ...]) -> list[int]:
    where = f"definition {definition.name!r}: group {name!r}"
    if name in inside:
        raise ConfigError(f"{where} is a member of itself, by way of {' > '.join((*inside, name))}")
    labels: list[int] = []
    for member in definition.groups[name].members:
        inner = member.removeprefix("group:")
        if member in REGIONS:
            labels.append(REGIONS.index(member))
        elif inner != member and inner in definition.groups:
            labels += _flat(inner, definition, (*inside, name))
        else:
            known = [*REGIONS, *(f"group:{other}" for other in definition.groups)]
            raise ConfigError(f"{where} has the member {member!r}; there are: {', '.join(known)}")
    return labels


def values_of(regions: list[StoredRegion], n: Floats, definition: Reduction, of: OfLabels) -> Floats:
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

    def pooled(region: StoredRegion) -> Floats:
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
