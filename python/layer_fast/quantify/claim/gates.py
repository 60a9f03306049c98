"""The gates that need more than one cell's own numbers, all for one cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..cohort import CellStatistics, Settings
from .gate import Gate
from .geometry import geometry_gate
from .mask_gate import mask_gate
from .second_fill import second_fill


def checks_of(
    stats: CellStatistics,
    settings: Settings,
    others: Sequence[CellStatistics],
    scans: Mapping[str, Mapping[str, Any]],
    perturbed: Any = None,
) -> dict[str, Gate]:
    """The gates of `gate.ELSEWHERE` that can be judged for this cell. others: every cell of the tables, this one
    included; scans: the rows of scans.parquet by scan_id; perturbed: what `mask_gate.perturbed_values` read."""
    second = second_fill(stats, settings, others)
    return {
        **({} if second is None else {second.name: second}),
        **geometry_gate(stats, settings, scans),
        **mask_gate(stats, others, perturbed),
    }
