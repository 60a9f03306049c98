"""Which scans are typical, extreme and wrong, by the margin and the class; and the pictures that the run kept."""

from __future__ import annotations

from statistics import median
from typing import Any

from ..slices import Example
from ..style import number, setup_title
from .classes import Classes, classes_of
from .words import USED

KINDS = {
    "typical": "typical: on the right side, margin nearest the class's median",
    "extreme": "extreme: on the right side, margin furthest from 0",
    "wrong": "wrong: on the other class's side, margin furthest from 0",
}
Pick = tuple[str, float] | None


def examples(scans: list[dict[str, Any]], cells: list[dict[str, Any]], pictures: list[Example]) -> dict[str, Any]:
    """The chosen scans of every setup, and the pictures with the roles that their scans have."""
    columns, roles = [], dict[str, list[str]]()
    for setup, classes in classes_of(cells).items():
        picks = _picks(scans, setup, classes)
        if not any(picks.values()):
            continue
        names = {True: classes.positive, False: classes.negative or "all others"}
        columns.append({"title": setup_title(setup), "picks": picks, "names": names})
        for (kind, positive), pick in picks.items():
            if pick is not None:
                roles.setdefault(pick[0], []).append(f"{kind} {names[positive]}, {setup_title(setup)}")
    shown = {e.scan_id for e in pictures}
    return {
        "titles": [c["title"] for c in columns],
        "rows": [{"kind": title, "cells": [[_cell(c, kind, side, shown) for side in (True, False)] for c in columns]}
                 for kind, title in KINDS.items()],
        "pictures": [{"scan_id": e.scan_id, "label": e.label, "panels": e.panels,
                      "roles": "; ".join(roles.get(e.scan_id, ()))} for e in pictures],
    }  # fmt: skip


def _cell(column: dict[str, Any], kind: str, positive: bool, shown: set[str]) -> dict[str, Any]:
    pick, name = column["picks"][kind, positive], column["names"][positive]
    if pick is None:
        return {"label": name, "scan_id": "none", "margin": "", "shown": False}
    return {"label": name, "scan_id": pick[0], "margin": number(pick[1], 2), "shown": pick[0] in shown}


def _picks(scans: list[dict[str, Any]], setup: str, classes: Classes) -> dict[tuple[str, bool], Pick]:
    by_class: dict[bool, list[tuple[str, float]]] = {True: [], False: []}
    for row in scans:
        margin, side = row.get(f"margin_{setup}"), classes.is_case(row["label"])
        if row["status"] in USED and side is not None and margin is not None and margin == margin:
            by_class[side].append((row["scan_id"], margin))
    out: dict[tuple[str, bool], Pick] = {}
    for case, rows in by_class.items():
        sign = 1 if case else -1
        right = [r for r in rows if sign * r[1] > 0]
        wrong = [r for r in rows if sign * r[1] < 0]
        middle = median(m for _, m in rows) if rows else 0.0
        out["typical", case] = min(right, key=lambda r: (abs(r[1] - middle), r[0]), default=None)
        out["extreme", case] = min(right, key=lambda r: (-abs(r[1]), r[0]), default=None)
        out["wrong", case] = min(wrong, key=lambda r: (-abs(r[1]), r[0]), default=None)
    return out
