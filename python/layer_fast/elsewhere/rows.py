"""The rows of one definition on one channel: every region keeps its row, absent ones too."""

from __future__ import annotations

from math import fsum, nan
from typing import Any

from ..quantify import Reduction, join_flags
from ..quantify.definition_regions import DefinitionRegion
from ..quantify.rows import LOW_N
from .field import Field
from .inputs import Case
from .measures import Codes, Measure, Measured, measure, top_size

Row = dict[str, Any]


def rows_of(
    field: Field, regions: list[DefinitionRegion], definition: Reduction, case: Case, channel: str
) -> list[Row]:
    """One row per region. Raises ConfigError where the map's values are not what the statistic needs."""
    found = _Values(field, definition, measure(field, definition))
    by_key = {region.key: region for region in regions}
    return [_row(region, found, by_key, definition, case, channel) for region in regions]


class _Values:
    """Numbers of regions, the rules for absent ones, pooling of groups."""

    def __init__(self, field: Field, definition: Reduction, of: Measure) -> None:
        self.field, self.definition, self._of = field, definition, of
        labelled = definition.statistic.total == "labelled"
        self._outside: set[int] = {0} if labelled else set()

    def count(self, codes: Codes) -> int:
        """Voxels of the region; of a soft mask those where its weight is above 0."""
        weight = self.field.weight_of(codes)
        return int(self.field.moments.count[list(codes)].sum()) if weight is None else int((weight > 0).sum())

    def weight(self, codes: Codes) -> float:
        return fsum(self.field.moments.weight[list(codes)])

    def total(self) -> float:
        return fsum(self.field.moments.weight[self.field.mask.codes_of(self.definition.statistic.total or "all")])

    def in_total(self, codes: Codes) -> bool:
        """Background is no part of the labelled voxels: relative to them it has no number."""
        return not self._outside & set(codes)

    def union(self, codes: Codes) -> Measured:
        if not self.count(codes):
            return Measured(0.0 if self.definition.statistic.name == "sum" else nan)
        return self._of(codes) if self.in_total(codes) else Measured(nan)

    def pooled(self, region: DefinitionRegion, by_key: dict[str, DefinitionRegion]) -> Measured:
        """Groups other than unions, from their members that are there; a member without a value leaves none."""
        group = region.group
        if group is None or group.pooling == "union":
            return self.union(region.labels)
        members = [by_key[name] for name in group.members]
        there = [i for i, member in enumerate(members) if self.count(member.labels)]
        if not there:
            return self.union(region.labels)
        parts = [self.pooled(members[i], by_key) for i in there]
        values = [part.value for part in parts]
        if group.pooling == "sum_of_shares":
            value = fsum(values)
        elif group.pooling == "max":
            value = nan if any(v != v for v in values) else max(values)
        else:
            weights = [1.0] * len(there) if group.weights is None else [group.weights[i] for i in there]
            value = fsum(w * v for w, v in zip(weights, values, strict=True)) / fsum(weights)
        flags = {flag for part in parts for flag in part.flags}
        return Measured(value, (*flags, *(("members_absent",) if len(there) < len(members) else ())))


def _row(
    region: DefinitionRegion,
    found: _Values,
    by_key: dict[str, DefinitionRegion],
    definition: Reduction,
    case: Case,
    channel: str,
) -> Row:
    n, weight = found.count(region.labels), found.weight(region.labels)
    measured = found.pooled(region, by_key)
    cap, chance = _cap_and_chance(region, found, definition) if n else (None, None)
    spacing = case.spacing_mm
    voxel = spacing[0] * spacing[1] * spacing[2] if spacing else nan
    return {
        "map": case.sources["map"], "mask": case.sources["mask"], "channel": channel,
        "definition": definition.name, "definition_sha256": definition.sha256_short,
        "statistic": definition.statistic.name,
        "region": region.name, "region_kind": region.kind, "label_value": region.label_value,
        "present": n > 0, "n_voxels": n, "weight": weight, "volume_mm3": weight * voxel if voxel == voxel else None,
        "value": measured.value, "units": definition.units, "cap": cap, "chance": chance,
        "across_layers": definition.statistic.facts.across_layers,
        "flags": join_flags([*case.flags, *found.field.flags, *measured.flags, *_row_flags(region, n, found)]),
    }  # fmt: skip


def _row_flags(region: DefinitionRegion, n: int, found: _Values) -> list[str]:
    flags = ["low_n"] if 0 < n < LOW_N else []
    if not n and found.field.mask.eroded and found.field.mask.given(region.labels):
        flags.append("eroded_away")
    return flags


def _cap_and_chance(
    region: DefinitionRegion, found: _Values, definition: Reduction
) -> tuple[float | None, float | None]:
    """The largest value that this region's size allows, where that is less than what all regions share; the value that
    a map without structure has. None: not defined, as for groups that are no union."""
    if not found.in_total(region.labels) or (region.group is not None and region.group.pooling != "union"):
        return None, None
    stat, facts = definition.statistic, definition.statistic.facts
    n, total = found.weight(region.labels), found.total()
    if not n or not total:
        return None, None
    chance = {"n_L / n_T": n / total, "1": 1.0, "": None}[facts.chance]
    if stat.name in ("enrichment", "inside_total_ratio"):
        free = stat.name == "enrichment" or bool(stat.weighted)
        return (total / n, 1.0) if free else (None, chance)
    if stat.name == "pointing_game" and stat.weighted:
        return 1.0 - n / total, n / total * (1.0 - n / total)
    if stat.name == "effective_heat_ratio" and stat.weighted:
        return None, None  # scales with the map
    if stat.name in ("top_k_intersection", "concept_influence"):
        k = top_size(definition, round(total))
        cap = min(1.0, n / k)
        return (cap, chance) if stat.name == "top_k_intersection" else (cap * total / n, chance)
    return None, chance
