"""A hierarchy in plain loops over rows, as one would write it with paper and pencil: no arrays, no grouping tricks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum, isnan, nan
from statistics import median
from typing import Any

Parts = tuple[float, float, float, float]  # sum and voxels of the region, sum and voxels of the total


def join(values: Sequence[float], how: str) -> float:
    kept = [v for v in values if not isnan(v)]
    if not kept:
        return nan
    return median(kept) if how == "median" else fsum(kept) / len(kept)


def up(scans: list[dict[str, Any]], levels: list[str], over: dict[str, str], value: Callable[[Any], float]) -> float:
    """The number of one subject: recursion from the outermost level inwards."""
    if not levels:
        return join([value(scan) for scan in scans], over.get("scan", "mean"))
    outer = levels[-1]
    parts: dict[str, list[dict[str, Any]]] = {}
    for scan in scans:
        parts.setdefault(scan[outer] or "", []).append(scan)
    return join([up(part, levels[:-1], over, value) for part in parts.values()], over.get(outer, "mean"))


def ratio(name: str, parts: Parts) -> float:
    s, n, s_t, n_t = parts
    if any(map(isnan, parts)) or (name in ("share", "enrichment") and not s_t > 0):
        return nan
    return {"mean": lambda: s / n, "part_of_total_mean": lambda: s / n_t, "share": lambda: s / s_t,
            "enrichment": lambda: (s / n) / (s_t / n_t)}[name]()  # fmt: skip


def subject_number(
    scans: list[dict[str, Any]], statistic: str, *, levels: list[str], over: dict[str, str], pooled: bool, sliced: bool
) -> float:
    """scans: the level columns, "units": the parts of the scan's slices, or of the scan itself as the only one."""

    def part_of(scan: dict[str, Any], k: int) -> float:
        kept = [unit[k] if unit[1] > 0 else nan for unit in scan["units"]]
        return join(kept, over.get("slice", "mean")) if sliced else kept[0]

    def ratio_of(scan: dict[str, Any]) -> float:
        each = [ratio(statistic, unit) if unit[1] > 0 else nan for unit in scan["units"]]
        return join(each, over.get("slice", "mean")) if sliced else each[0]

    if not pooled:
        return up(scans, levels, over, ratio_of)
    s, n, s_t, n_t = (up(scans, levels, over, lambda scan, k=k: part_of(scan, k)) for k in range(4))
    return ratio(statistic, (s, n, s_t, n_t))
