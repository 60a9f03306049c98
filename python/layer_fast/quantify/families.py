"""Which definitions are one piece of evidence, as data: those of a family rank the layers of a scan alike, or read one
and the same game. Agreement inside a family confirms nothing; comparisons count families."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Family:
    """members: names of REDUCTIONS or value methods. alike: for which maps all members rank the layers of one scan in
    the same order. "not promised": another reason (why) makes them one."""

    name: str
    members: tuple[str, ...]
    alike: Literal["always", "maps >= 0", "not promised"]
    why: str


FAMILIES: tuple[Family, ...] = (
    Family("density", ("mean", "mean_minmax_volume", "mean_max_volume", "mean_zscore_volume", "enrichment", "mean_abs"),
           "maps >= 0", "the mean of the layer, after a rising line of one slope per scan"),
    Family("mass", ("sum", "part_of_volume_mean", "share_of_labelled", "share_of_all", "share_of_all_abs",
                    "energy_pointing_game"),
           "maps >= 0", "the sum over the layer, divided by one number per scan"),
    Family("slice density", ("mean_minmax_slice_z",), "always", "the mean after a line of its own for every slice"),
    Family("median", ("median",), "always", "the middle voxel"),
    Family("rank", ("mean_rank_volume",), "always", "the mean rank of the layer's voxels"),
    Family("rank overlap", ("rank_overlap",), "always", "the top voxels, as many as the layer has"),
    Family("top mass", ("top_5_percent",), "always", "the part of the hottest voxels"),
    Family("top density", ("concept_influence_5_percent",), "always", "the same per voxel of the layer"),
    Family("peak", ("pointing_game",), "always", "where the hottest voxel lies"),
    Family("spread", ("std",), "always", "the variation inside the layer"),
    Family("lit area", ("effective_heat_ratio", "intersection_over_attention"), "not promised",
           "the part of the area above one or many thresholds"),
    Family("overlap", ("auc_iou",), "always", "the overlap of layer and lit area over all thresholds"),
    Family("removal", ("layer_ablation", "layer_shapley"), "not promised",
           "one game: both are made of the same coalition values, with the same fill"),
)  # fmt: skip

_OF = {member: family for family in FAMILIES for member in family.members}


def family_of(definition: str) -> str:
    """The family of a definition; one of one's own is a family by itself."""
    return _OF[definition].name if definition in _OF else definition


def families_dict() -> list[dict[str, Any]]:
    """The families as JSON-ready data."""
    return [{**asdict(family), "members": list(family.members)} for family in FAMILIES]
