"""Reductions by name, for maps that come as files. None is called after a publication whose text does not state it.

Where a name is also in `PRESETS`, which describe the columns of a run's tables, both mean the same number (a test
holds them together); the hashes differ, since one is of a description and the other of what is computed.
"""

from __future__ import annotations

from typing import Any

from .reduction import Normalise, Reduction, Statistic

DEFAULT_REDUCTIONS = ("mean", "share_of_labelled", "enrichment")  # means and shares fail in opposite directions


def _one(name: str, statistic: str | dict[str, Any], **fields: Any) -> Reduction:
    given = {"name": statistic} if isinstance(statistic, str) else statistic
    return Reduction(name=name, statistic=Statistic(**given), **fields)


_UNIT = Normalise(kind="min_max")
_MAX = Normalise(kind="max")

REDUCTIONS: dict[str, Reduction] = {
    one.name: one
    for one in (
        _one("mean", "mean"),
        _one("mean_minmax_volume", "mean", normalise=_UNIT),
        _one("share_of_labelled", {"name": "share", "total": "labelled"}, sign="positive"),
        _one("share_of_all", "share", sign="positive"),
        _one("enrichment", "enrichment", sign="positive"),
        _one("part_of_volume_mean", "part_of_total_mean"),
        _one("mean_abs", "mean", sign="absolute"),
        _one("share_of_all_abs", "share", sign="absolute"),
        _one("sum", "sum"),
        _one("std", "std"),
        _one("median", "median"),
        _one("mean_minmax_slice_z", "mean", normalise=Normalise(kind="min_max", scope="slice", axis="z")),
        _one("mean_max_volume", "mean", normalise=_MAX),
        _one("mean_zscore_volume", "mean", normalise=Normalise(kind="z_score")),
        _one("mean_rank_volume", "mean", normalise=Normalise(kind="rank")),
        _one("energy_pointing_game", "energy_pointing_game", sign="positive"),
        _one("rank_overlap", "rank_overlap"),
        _one("top_5_percent", {"name": "top_k_intersection", "fraction": 0.05}),
        _one("concept_influence_5_percent", {"name": "concept_influence", "fraction": 0.05}),
        _one("pointing_game", "pointing_game"),
        _one("effective_heat_ratio", "effective_heat_ratio", sign="positive", normalise=_MAX),
        _one("intersection_over_attention", "intersection_over_attention"),
        _one("auc_iou", "auc_iou", sign="positive", normalise=_MAX),
    )
}


def reduction(name: str) -> Reduction:
    """The reduction of that name; KeyError names those there are."""
    if name not in REDUCTIONS:
        raise KeyError(f"[reduction] expected one of {', '.join(REDUCTIONS)}, got {name!r}")
    return REDUCTIONS[name]
