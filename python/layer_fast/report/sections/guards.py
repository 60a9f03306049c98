"""guards.json: every guard as a question, its numbers, its threshold, and whether it fired."""

from __future__ import annotations

from typing import Any

from ...types import LAYERS
from ..primary import primary
from ..style import cell_order, number
from .answers import GATE_TITLES, gate_value
from .words import cell_name, words

_STATES = {True: ("fired", "✗"), False: ("silent", "✓"), None: ("not checked", "–")}
_ORDER = (True, None, False)
_MANY = 6  # lines of one guard with one outcome that are still listed one by one


def guards(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Guards, those that are gates first, of the primary fill; under each the cells, those where it fired first."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for entry in primary(found["guards"]):
        by_name.setdefault(entry["name"], []).append(entry)
    out = []
    for name, entries in sorted(by_name.items(), key=lambda item: item[0] not in GATE_TITLES):
        entries = sorted(entries, key=cell_order)
        lines = [line for fired in _ORDER for line in _lines([e for e in entries if e["fired"] is fired])]
        out.append({"title": words(name), "question": entries[0]["question"],
                    "threshold": "; ".join(dict.fromkeys(e["threshold"] for e in entries)), "lines": lines,
                    "n_fired": sum(e["fired"] is True for e in entries), "n": len(entries)})  # fmt: skip
    return out


def _lines(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(entries) > _MANY and entries[0]["fired"] is not True:
        names = "; ".join(dict.fromkeys(_where(e) for e in entries))
        said = "; ".join(list(dict.fromkeys(e["sentence"] for e in entries))[:2])
        return [_line(entries[0]) | {"where": names, "value": "guards.json holds each", "sentence": said}]
    return [_line(e) for e in entries]


def _line(entry: dict[str, Any]) -> dict[str, Any]:
    state, sign = _STATES[entry["fired"]]
    value = "no number" if entry["value"] is None else f"{entry['statistic']}: {_value(entry['value'])}"
    if entry["value"] is not None and entry["name"] in GATE_TITLES and not isinstance(entry["value"], dict):
        value = gate_value(entry["name"], entry["value"])
    return {"where": _where(entry), "value": value, "state": state, "sign": sign,
            "sentence": entry["sentence"]}  # fmt: skip


def _where(entry: dict[str, Any]) -> str:
    return cell_name(entry) if entry["method"] else entry["setup"]


def _value(value: Any) -> str:
    if isinstance(value, dict):
        if value and all(part == 0 for part in value.values()):
            return "0 for each"
        names = [n for n in LAYERS if n in value] + [n for n in value if n not in LAYERS]
        value = {name: value[name] for name in names}
        return ", ".join(f"{words(name)} {_value(part)}" for name, part in value.items()) or "none"
    return value if isinstance(value, str) else number(value, 2)
