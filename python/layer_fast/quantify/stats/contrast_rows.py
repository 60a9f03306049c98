"""Class contrasts of every analysis as rows: regions, pairs of layers and of groups, corrected by family."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..regions import NUM_REGIONS
from .classes import Contrasts, Labels, contrasts, interval_dict, split
from .columns import CLASS_FAMILIES, WIDTH, differences_of, pair_facts, region_facts
from .frame import Frame, grouped_mean
from .multiple import adjusted
from .resample import Plan
from .strata import class_rows, positive_rows

Classes = tuple[str, str | None]


def class_contrasts(frame: Frame, plan: Plan) -> list[dict[str, Any]]:
    """Per analysis {"n_units", "n_case", "n_control", "n_both" (subjects), "excluded" (scans), "rows"}.

    A row: region or pair, "basis", "estimate", "low", "high", "p" (two-sided), "p_holm", "p_bh", "between", "within".
    """
    out: list[dict[str, Any]] = [{} for _ in frame.analyses]
    for classes in dict.fromkeys((one.positive, one.negative) for one in frame.analyses):
        mine = np.array([a for a, one in enumerate(frame.analyses) if (one.positive, one.negative) == classes])
        used, excluded = usable_scans(frame, classes)
        unit, first = np.unique(frame.unit[used], return_inverse=True)[1], _first(frame.unit[used])
        many = len(first)
        means = grouped_mean(frame.values[np.ix_(used, mine)].reshape(len(used), len(mine) * NUM_REGIONS), unit, many)
        means = means.reshape(many, len(mine), NUM_REGIONS)
        x = np.concatenate([means, differences_of(means)], axis=2).reshape(many, len(mine) * WIDTH)
        rows = used[first]
        subject = np.unique(frame.subject[rows], return_inverse=True)[1]
        who = Labels(subject, positive_rows(frame, classes[0])[rows], frame.site[rows])
        facts = {"n_units": many, **_subjects(who), "excluded": excluded}
        found = contrasts(x, who, plan)
        for i, a in enumerate(mine):
            out[a] = {**facts, "rows": _rows(found, i * WIDTH)}
    return out


def usable_scans(frame: Frame, classes: Classes) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Scans whose unit has one label, one of the two classes; and how many were left out why."""
    known = class_rows(frame, *classes)
    labels: dict[int, set[str]] = {}
    for code, label in zip(frame.unit.tolist(), frame.label.tolist(), strict=True):
        labels.setdefault(code, set()).add(label)
    alone = np.array([len(labels[code]) == 1 for code in frame.unit.tolist()], dtype=bool)
    reasons = Counter[str]()
    reasons["label_varies_within_unit"] = int((~alone).sum())
    reasons["label_missing_or_other"] = int((alone & ~known).sum())
    reasons["not_ok"] = frame.not_usable
    return np.flatnonzero(alone & known), {name: n for name, n in sorted(reasons.items()) if n}


def _first(sorted_codes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.flatnonzero(np.diff(sorted_codes, prepend=-1))


def _subjects(who: Labels) -> dict[str, int]:
    if not len(who.subject):
        return {"n_case": 0, "n_control": 0, "n_both": 0}
    mixed = split(who)[1]
    both = np.zeros(len(who.subject), dtype=bool) if mixed is None else mixed
    n = {name: len(np.unique(who.subject[part & ~both])) for name, part in
         (("n_case", who.positive), ("n_control", ~who.positive))}  # fmt: skip
    return {**n, "n_both": len(np.unique(who.subject[both]))}


def _rows(found: Contrasts, start: int) -> list[dict[str, Any]]:
    family_of = {i: name for name, members in CLASS_FAMILIES.items() for i in members}
    holm, bh = np.full(WIDTH, np.nan), np.full(WIDTH, np.nan)
    for members in CLASS_FAMILIES.values():
        at = np.array(members)
        holm[at], bh[at] = adjusted(found.p[start + at])
    return [
        {
            **(region_facts(i) if i < NUM_REGIONS else pair_facts(i - NUM_REGIONS)),
            "family": family_of.get(i, ""), "basis": found.basis[start + i],
            **interval_dict(found.interval, start + i), "p": found.p[start + i], "p_holm": holm[i], "p_bh": bh[i],
            **{name.split()[0]: part for name, part in found.parts[start + i].items()},
        }
        for i in range(WIDTH)
    ]  # fmt: skip
