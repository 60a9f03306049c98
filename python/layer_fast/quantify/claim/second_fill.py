"""The gate `second_fill`: whether another way of removing content names the same layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...fills import removes_content
from ..cohort import CellStatistics, Settings
from ..regions import REGION_ORDER
from ..tables import CELL_KEYS
from .gate import ELSEWHERE, Gate
from .top import top_layer

NAME = "second_fill"


def second_fill(stats: CellStatistics, settings: Settings, others: Sequence[CellStatistics]) -> Gate | None:
    """The gate for one cell; None where no other fill that removes content was run.

    others: every cell of the tables; those that differ from this one in nothing but a fill that removes content are
    asked. The top layer of each is the one with the largest contrast D. One agrees where its top layer is this cell's
    and D > 0 there (one-sided p < alpha of the permutation test, not corrected again: the layer is named by this cell,
    not picked anew); it disagrees where another layer is its top one and D > 0 there by the same test. The gate holds
    where one agrees at least and none disagrees. A fill that neither agrees nor disagrees found nothing.
    """
    same = [one for one in others if one is not stats and _differs_in_fill_only(stats, one)]
    if not same or not removes_content(stats.cell.key["fill"]):
        return None
    own = top_layer(stats)
    words, agreed, against = [], 0, []
    for one in same:
        top = top_layer(one)
        clear = top is not None and bool(one.p[top] < settings.alpha)
        agrees = clear and top == own
        agreed += agrees
        fill = one.cell.key["fill"]
        p = None if top is None or np.isnan(one.p[top]) else f"p = {one.p[top]:.2g}"
        said = f"{fill}: " + ("no contrast" if top is None else f"{REGION_ORDER[top].name}, {p or 'no p'}")
        words.append(said)
        against += [said] if clear and not agrees else []
    if against:
        reason = f"another fill names another layer ({'; '.join(against)})".replace("_", " ")
    elif agreed:
        how_many = f"{agreed} other fills that remove" if agreed > 1 else "another fill that removes"
        reason = f"the same layer under {how_many} content"
    else:
        reason = f"no other fill shows this layer's contrast ({'; '.join(words)})".replace("_", " ")
    asked = f"{ELSEWHERE[NAME]}, p < {settings.alpha:g} there; none with another"
    return Gate(NAME, "; ".join(words), asked, bool(agreed and not against), reason)


def _differs_in_fill_only(a: CellStatistics, b: CellStatistics) -> bool:
    same = all(a.cell.key[name] == b.cell.key[name] for name in CELL_KEYS if name != "fill")
    return same and a.cell.key["fill"] != b.cell.key["fill"] and removes_content(b.cell.key["fill"])
