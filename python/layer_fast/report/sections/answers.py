"""The answer of every setup, and one table of the gates that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..style import cell_order, number, setup_title
from .words import CELL, distinct, named, sentence, words

GATE_TITLES = {
    "exposure": "predictions out of sample",
    "domain": "scans the model was made for",
    "subjects": "enough subjects",
    "auc": "the model separates the classes",
    "layer_present": "the layer is in enough subjects",
    "contrast": "the layer differs between the classes",
    "beats_every_other": "it beats every other layer",
    "resolved": "thick enough to be resolved",
    "second_fill": "holds under a second fill",
    "geometry_and_confounders": "not explained by geometry or confounders",
    "mask_sensitivity": "holds under other masks",
}
_STATES = {True: ("holds", "✓"), False: ("fails", "✗"), None: ("unchecked", "–")}
_DIGITS = {"subjects": 0, "layer_present": 0, "auc": 3, "resolved": 2, "geometry_and_confounders": 2}
_COLUMNS = 4  # answers side by side in one table of gates


def answers(claims: dict[str, Any]) -> list[dict[str, Any]]:
    """The cards: headline, reason and the numbers behind it."""
    found = sorted(claims["answers"], key=cell_order)
    return [_answer(named(a), claims, text) for a, text in zip(found, distinct(found), strict=True)]


def _answer(answer: dict[str, Any], claims: dict[str, Any], which: str) -> dict[str, Any]:
    cell = next(c for c in claims["cells"] if all(c[name] == answer[name] for name in CELL))
    driver = answer["driver"]
    return {
        **answer,
        "title": setup_title(answer["setup"]),
        "which": which,
        "kind": "found" if driver else "open",
        "headline": f"Candidate driver: {words(driver)}" if driver else "No single driver",
        "why": _why(answer),
        "unchecked": "; ".join(_title(g["name"]) for g in answer["gates"] if g["passed"] is None),
        "auc": cell["auc"],
        "rank": cell["rank_correlation"],
        "n_case": cell["n_case"],
        "n_control": cell["n_control"],
    }


def _why(answer: dict[str, Any]) -> str:
    """The first gate that fails, how many more do, and what could not be told apart; the table says the rest."""
    text = answer["text"].split(". " if answer["driver"] else ": ", 1)[-1]
    failed = [g["reason"] for g in answer["gates"] if g["passed"] is False]
    if answer["driver"] or not failed:
        return sentence(text)
    more = {0: ".", 1: "; one more gate fails."}.get(len(failed) - 1, f"; {len(failed) - 1} more gates fail.")
    start = answer["text"].find("Cannot be told apart")
    return f"{sentence(failed[0])}{more} {answer['text'][start:] if start >= 0 else ''}".strip()


def gate_tables(cards: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Gates as rows, answers as columns, at most `_COLUMNS` of them in a table."""
    out = []
    for start in range(0, len(cards), _COLUMNS):
        part = cards[start : start + _COLUMNS]
        names = dict.fromkeys(g["name"] for a in part for g in a["gates"])
        rows = []
        for name in names:
            gates = [next((g for g in a["gates"] if g["name"] == name), None) for a in part]
            asked = next(g["threshold"] for g in gates if g is not None)
            rows.append({"title": _title(name), "asked": asked, "gates": [_gate(g) for g in gates]})
        out.append({"columns": [f"{a['title']} {a['which']}".strip() for a in part], "rows": rows})
    return out


def _title(name: str) -> str:
    return GATE_TITLES.get(name, name)


def _gate(gate: dict[str, Any] | None) -> dict[str, str]:
    if gate is None:
        return {"state": "unchecked", "sign": "–", "text": "not asked", "reason": ""}
    state, sign = _STATES[gate["passed"]]
    if gate["passed"] is None:
        reason = gate["reason"].removeprefix("not checked").lstrip(": ")
        return {"state": state, "sign": sign, "text": "not checked", "reason": reason}
    value = gate["value"]
    text = (
        "" if value is None else words(value) if isinstance(value, str) else number(value, _DIGITS.get(gate["name"], 4))
    )
    return {"state": state, "sign": sign, "text": text, "reason": "" if gate["passed"] else gate["reason"]}
