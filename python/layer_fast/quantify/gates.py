"""Gates of the claim rule as data, and those that need more than one cell's own numbers.

A gate of `ELSEWHERE` is made by a module of its own and handed to `claims.decide`; where its numbers are not in the
tables it stays "not checked", which is said with the claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .cohort import CellStatistics, Settings

NOT_CHECKED = "not checked: the tables do not hold what it needs"
# name -> what is asked
ELSEWHERE = {
    "second_fill": "the same layer under a second fill that removes content",
    "geometry_and_confounders": "not explained by layer thickness, mask alone, age, body mass index, site or scanner",
    "mask_sensitivity": "the same layer under perturbed masks",
}


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition: what was found, what was asked, whether it holds (None: not checked)."""

    name: str
    value: float | str | None
    threshold: str
    passed: bool | None
    reason: str


def unchecked(name: str) -> Gate:
    return Gate(name, None, ELSEWHERE[name], None, NOT_CHECKED)


def checks_of(
    stats: CellStatistics,
    settings: Settings,
    others: Sequence[CellStatistics],
    scans: Mapping[str, Mapping[str, Any]],
    perturbed: Any = None,
) -> dict[str, Gate]:
    """The gates of `ELSEWHERE` that can be judged for this cell. others: every cell of the tables, this one included;
    scans: the rows of scans.parquet by scan_id; perturbed: what `mask_gate.perturbed_values` read."""
    from .geometry import geometry_gate
    from .mask_gate import mask_gate
    from .second_fill import second_fill

    second = second_fill(stats, settings, others)
    return {
        **({} if second is None else {second.name: second}),
        **geometry_gate(stats, settings, scans),
        **mask_gate(stats, others, perturbed),
    }
