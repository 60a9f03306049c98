"""The answer of every setup, and one table of the gates that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...quantify.claim.gate import NOT_CHECKED
from ..style import cell_order, column_scale, interval, number, setup_title
from .words import CELL, distinct, named, sentence, with_detail, words

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
# What the number of a gate is, and its decimals; of the others the value says so itself.
_SAID = {
    "subjects": ("{} subjects", 0),
    "auc": ("lower limit {}", 3),
    "layer_present": ("{} subjects", 0),
    "contrast": ("p {}", 4),
    "beats_every_other": ("p {}", 4),
    "resolved": ("unresolved in {} of scans", 2),
    "geometry_and_confounders": ("AUC ahead by {}", 2),
    "mask_sensitivity": ("{} masks", 0),
}
# What a gate needs that has not been checked.
_NEEDS = {
    "second_fill": "needs a second fill that removes content (--fills)",
    "geometry_and_confounders": "needs thicknesses in mm and enough subjects of both classes",
    "mask_sensitivity": "needs --guards mask_perturbation",
}
_NOT_HELD = NOT_CHECKED.removeprefix("not checked: ")
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
        "effect": _effect(answer, cell),
        "unchecked": "; ".join(_title(g["name"]) for g in answer["gates"] if g["passed"] is None),
        "auc": cell["auc"],
        "withheld": cell["withheld"],
        "rank": cell["rank_correlation"],
        "n_case": cell["n_case"],
        "n_control": cell["n_control"],
    }


def _effect(answer: dict[str, Any], cell: dict[str, Any]) -> str:
    """D of the layer on top and of the next one, with intervals and units; "" where no layer has a contrast."""
    layers = [(r["region"], r["contrast"]) for r in cell["regions"] if r["region_kind"] == "layer"]
    known = sorted((one for one in layers if one[1]["estimate"] is not None), key=lambda one: -one[1]["estimate"])
    known.sort(key=lambda one: one[0] != answer["top"])
    if not known:
        return ""
    size = column_scale([part for _, part in known[:2]])
    said = [f"{words(name)} {interval(part, 2, size)}" for name, part in known[:2]]
    return f"D: {', next '.join(said)} ({cell['units']})."


def _why(answer: dict[str, Any]) -> str:
    """The first gate that fails, how many more do, and what could not be told apart; the table says the rest."""
    if answer["driver"]:
        return "Every checked gate holds."
    failed = [g["reason"] for g in answer["gates"] if g["passed"] is False]
    if not failed:
        return sentence(answer["text"].split(": ", 1)[-1])
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
        out.append({"columns": [with_detail(a["title"], a["which"]) for a in part], "rows": rows})
    return out


def _title(name: str) -> str:
    return GATE_TITLES.get(name, name)


def _gate(gate: dict[str, Any] | None) -> dict[str, str]:
    if gate is None:
        return {"state": "unchecked", "sign": "–", "text": "not asked", "reason": ""}
    state, sign = _STATES[gate["passed"]]
    if gate["passed"] is None:
        reason = gate["reason"].removeprefix("not checked").lstrip(": ")
        if reason == _NOT_HELD:
            reason = _NEEDS.get(gate["name"], reason)
        return {"state": state, "sign": sign, "text": "not checked", "reason": reason}
    reason = "" if gate["passed"] else gate["reason"]
    return {"state": state, "sign": sign, "text": gate_value(gate["name"], gate["value"]), "reason": reason}


def gate_value(name: str, value: float | str | None) -> str:
    """The number of a gate with what it is: "p 0.0030"."""
    if value is None:
        return ""
    said, digits = _SAID.get(name, ("{}", 4))
    if name == "resolved" and not isinstance(value, str):
        return said.format(f"{100 * value:.0f} %")
    return said.format(words(value) if isinstance(value, str) else number(value, digits))
