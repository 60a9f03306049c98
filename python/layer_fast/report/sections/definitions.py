"""compare.json: which conclusions change with the definition, counted by families of definitions."""

from __future__ import annotations

import re
from typing import Any

from ...types import SETUPS
from ..primary import primary
from ..style import cell_order, interval, setup_title
from .words import cell_name, method_title, words

QUESTIONS = {
    "top_mean": "highest layer (mean over subjects)",
    "top_contrast": "layer with the largest class contrast",
    "muscle": "muscle or non-muscle higher",
}
_ANSWERS = {
    "split": "its members differ",
    "none": "no value",
    "open": "not told apart",
    "no layer": "no layer differs",
    "non_muscle": "non-muscle",
}
_DETAILED = ("gradcam",)


def definitions(found: dict[str, Any]) -> dict[str, Any]:
    """The questions of every setup with the families behind each answer, and the families of every Grad-CAM map."""
    whys = {f["name"]: f["why"] for f in found["families"]}
    cells = [c for c in primary(found["cells"]) if c["definitions"] and not c["channel"] and c["method"] in _DETAILED]
    return {
        "setups": [_question(s) for s in sorted(found["setups"], key=_place)],
        "cells": [_cell(c, whys) for c in sorted(cells, key=cell_order)],
        "hierarchies": _hierarchies(primary(found["cells"])),
        "skipped": _skipped(found["cells"]),
    }  # fmt: skip


def _place(one: dict[str, Any]) -> int:
    return SETUPS.index(one["setup"]) if one["setup"] in SETUPS else len(SETUPS)


def _question(one: dict[str, Any]) -> dict[str, Any]:
    answers = [{"answer": _said(a["answer"]), "families": "; ".join(_family(f) for f in a["families"]),
                "n": len(a["families"])} for a in one["answers"]]  # fmt: skip
    return {
        "title": setup_title(one["setup"]),
        "question": QUESTIONS.get(one["question"], one["question"]),
        "changes": one["changes"],
        "n": one["n_families"],
        "answers": answers,
    }


def _family(text: str) -> str:
    """ "gradcam: density" -> "Grad-CAM density"."""
    method, _, family = text.partition(": ")
    return f"{method_title(method)} {family}" if method != "coalitions" else f"whole layers {family}"


def _said(answer: str) -> str:
    return _ANSWERS.get(answer, words(answer))


def _cell(cell: dict[str, Any], whys: dict[str, str]) -> dict[str, Any]:
    rows = []
    for family in cell["families"]:
        members = [d for d in cell["definitions"] if d["definition"] in family["definitions"]]
        first = members[0]
        size = abs(first["muscle"]["estimate"] or 1.0)
        rows.append({
            "family": family["family"],
            "why": whys.get(family["family"], ""),
            "members": ", ".join(d["definition"] for d in members),
            "answers": [_said(family["answers"][q]) for q in QUESTIONS],
            "muscle": f"{interval(first['muscle'], 3, size)} ({first['definition']})",
        })  # fmt: skip
    return {"title": cell_name(cell), "rows": rows}


def _hierarchies(cells: list[dict[str, Any]]) -> dict[str, Any] | None:
    """How many definitions stand beside themselves under another hierarchy, and which answers change; None: none do."""
    found = [(cell, one) for cell in sorted(cells, key=cell_order) if not cell["channel"]
             for one in cell.get("hierarchies", []) if one["base"] is not None]  # fmt: skip
    rows = [
        {"title": cell_name(cell), "definition": one["definition"], "hierarchy": one["hierarchy"],
         "question": QUESTIONS.get(c["question"], c["question"]),
         "plain": _said(c["plain"]), "answer": _said(c["answer"])}
        for cell, one in found for c in one["changes"]
    ]  # fmt: skip
    return {"n": len(found), "rows": rows} if found else None


def _skipped(cells: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What was not compared: every reason once, with its definitions."""
    by_reason: dict[str, dict[str, None]] = {}
    for cell in cells:
        for one in cell["not_compared"]:
            why = re.sub(r"^\w+ needs ", "needs ", one["why"])  # its own name would make each reason another
            by_reason.setdefault(why, {})[one["definition"]] = None
    return [{"definitions": ", ".join(names), "why": why} for why, names in by_reason.items()]
