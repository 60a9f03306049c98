"""The columns of an analysis: eleven regions, fifteen pairs of layers, two pairs of groups."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from ..regions import LAYER_ROWS, NUM_REGIONS, REGION_ORDER, ROW_OF
from .resample import Float

LAYER_PAIRS: tuple[tuple[int, int], ...] = tuple(combinations(LAYER_ROWS, 2))
GROUP_PAIRS: tuple[tuple[int, int], ...] = (
    (ROW_OF["group", "muscle"], ROW_OF["group", "non_muscle"]),
    (ROW_OF["group", "fascia"], ROW_OF["group", "fat"]),
)
PAIRS = (*LAYER_PAIRS, *GROUP_PAIRS)
WIDTH = NUM_REGIONS + len(PAIRS)
# family -> columns of an analysis; the background is in no family
CLASS_FAMILIES: dict[str, range] = {
    "class_layers": range(LAYER_ROWS[0], LAYER_ROWS[-1] + 1),
    "class_groups": range(LAYER_ROWS[-1] + 1, NUM_REGIONS),
    "class_layer_pairs": range(NUM_REGIONS, NUM_REGIONS + len(LAYER_PAIRS)),
    "class_group_pairs": range(NUM_REGIONS + len(LAYER_PAIRS), WIDTH),
}
PAIR_FAMILIES: dict[str, range] = {
    "layer_pairs": range(len(LAYER_PAIRS)), "group_pairs": range(len(LAYER_PAIRS), len(PAIRS)),
}  # fmt: skip


def differences_of(x: Float) -> Float:
    """(n, analyses, regions) -> (n, analyses, pairs): first less second; NaN where one of them is absent."""
    first, second = np.array(PAIRS).T
    return np.asarray(x[..., first] - x[..., second])


def region_facts(i: int) -> dict[str, Any]:
    region = REGION_ORDER[i]
    return {"region": region.name, "region_kind": region.kind}


def pair_facts(i: int) -> dict[str, Any]:
    """{"first", "second", "pair_kind"} of `PAIRS[i]`."""
    first, second = (REGION_ORDER[j] for j in PAIRS[i])
    return {"first": first.name, "second": second.name, "pair_kind": first.kind}
