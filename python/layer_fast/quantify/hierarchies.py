"""Definitions that differ from a preset by their hierarchy only, which compare runs beside it, and who belongs to whom.

A definition is a relative of every other with the same fields but for name and hierarchy: they read the same map in the
same way, so they are one family and count once, however often the way from scans to subjects is changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from .definitions import PRESETS
from .families import family_of
from .hierarchy import PLAIN, Hierarchy
from .reduction import Reduction
from .reductions import REDUCTIONS

_BY_SIDE = Hierarchy(levels=["side"])
_BY_SIDE_AND_VISIT = Hierarchy(levels=["side", "visit"])
_MEDIAN = Hierarchy(over={"scan": "median"})
_POOLED = Hierarchy(ratio="ratio_of_means")


def variant(base: Reduction, hierarchy: Hierarchy) -> Reduction:
    """The definition under another hierarchy, called after both: mean_minmax_volume_by_side."""
    return base.model_copy(update={"name": f"{base.name}_{hierarchy.label}", "hierarchy": hierarchy})


HIERARCHY_PRESETS: dict[str, Reduction] = {
    one.name: one
    for one in (
        variant(REDUCTIONS["mean_minmax_volume"], _BY_SIDE),
        variant(REDUCTIONS["mean_minmax_volume"], _BY_SIDE_AND_VISIT),
        variant(REDUCTIONS["mean_minmax_volume"], _MEDIAN),
        variant(REDUCTIONS["mean"], _POOLED),
        variant(REDUCTIONS["share_of_labelled"], _POOLED),
        variant(REDUCTIONS["mean_minmax_slice_z"], Hierarchy(slices="z")),
    )
}


@dataclass(frozen=True, slots=True)
class Relatives:
    """Which definitions are relatives. plain, all: content without name and hierarchy -> names."""

    plain: dict[str, list[str]]
    all: dict[str, list[str]]

    def family(self, one: Reduction) -> str:
        """The family of a definition; under another hierarchy that of its relatives, the presets first."""
        return family_of(one.name if one.hierarchy.is_plain else self.all[_content(one)][0])

    def bases(self, one: Reduction) -> list[str]:
        """The names of its relatives with the plain hierarchy."""
        return self.plain.get(_content(one), [])


def relatives(chosen: Sequence[Reduction]) -> Relatives:
    """Of the presets and these."""
    plain: dict[str, list[str]] = {}
    every: dict[str, list[str]] = {}
    for one in sorted([*REDUCTIONS.values(), *chosen], key=lambda r: not r.hierarchy.is_plain):
        every.setdefault(_content(one), []).append(one.name)
        if one.hierarchy.is_plain:
            plain.setdefault(_content(one), []).append(one.name)
    return Relatives(plain, every)


def hierarchies_for_values(chosen: Sequence[Reduction]) -> list[Hierarchy]:
    """The hierarchies of these that a number without slices and sums has too: levels, and how they are joined."""
    found = {one.hierarchy.label: one.hierarchy for one in chosen if not one.hierarchy.is_plain}
    return [h for h in found.values() if h.slices is None and h.ratio == "mean_of_ratios"]


def value_hash(method: str, hierarchy: Hierarchy) -> str:
    """First 12 hex digits of the SHA-256 of a value method's definition under a hierarchy; its own hash where plain."""
    own = PRESETS[method].sha256_short
    if hierarchy.is_plain:
        return own
    text = json.dumps({"definition": own, "hierarchy": hierarchy.model_dump(mode="json", exclude_none=True)},
                      sort_keys=True, separators=(",", ":"))  # fmt: skip
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]


def _content(one: Reduction) -> str:
    return one.model_copy(update={"name": "-", "hierarchy": PLAIN}).canonical
