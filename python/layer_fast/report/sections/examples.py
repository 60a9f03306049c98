"""Example scans by role, from examples.json: why each was chosen, its layer values in numbers, and its picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...types import LAYERS
from ..figures import Scale, axis, mark, scale_of
from ..slices import Panel
from ..style import COLOURS, column_scale, number, setup_title
from .words import method_title, sentence, words

_ROLES = {
    "typical": "typical: classified rightly, layer values nearest to the median of the class's subjects",
    "extreme": "extreme: largest value of the layer on top",
    "wrong": "wrong: misclassified, margin furthest from 0",
}
_WIDTH = 130  # pixels of the bars


def examples(found: dict[str, Any], pictures: Mapping[str, Sequence[Panel]]) -> dict[str, Any]:
    """found: examples.json. pictures: panels by scan_id. An overview of roles by setup, and one entry for each scan."""
    anchors = {scan["scan_id"]: f"scan-{i}" for i, scan in enumerate(found["scans"], start=1)}
    setups = {entry["setup"]: entry for entry in found["setups"]}
    scales = {name: _scale(entry, found["scans"]) for name, entry in setups.items()}
    kinds = [kind for kind in _ROLES if any(r["role"] == kind for e in setups.values() for r in e["roles"])]
    return {
        "titles": [setup_title(name) for name in setups],
        "rows": [{"kind": _ROLES[kind], "cells": [
            [_line(r, anchors, e["units"]) for r in e["roles"] if r["role"] == kind] for e in setups.values()
        ]} for kind in kinds],
        "scans": [_scan(scan, anchors[scan["scan_id"]], setups, scales, pictures.get(scan["scan_id"]))
                  for scan in found["scans"]],
        "map": method_title(found["map_method"]) if found["map_method"] else None,
        "values": _value_titles(setups.values()),
        "kept": found["pictures"] > 0,
    }  # fmt: skip


def _line(role: dict[str, Any], anchors: Mapping[str, str], units: str) -> dict[str, Any]:
    """One scan of a cell of the overview."""
    if role["scan_id"] is None:
        return {"class": role["class"], "scan_id": None, "text": role["why"], "anchor": ""}
    found = role["number"]
    signed, unit = ("+", "logits") if found["name"] == "margin" else ("", units)
    text = f"{found['name']} {found['value']:{signed}.3g} {unit}"
    return {"class": role["class"], "scan_id": role["scan_id"], "text": text, "anchor": anchors[role["scan_id"]]}


def _scan(
    scan: dict[str, Any],
    anchor: str,
    setups: Mapping[str, dict[str, Any]],
    scales: Mapping[str, tuple[Scale, float]],
    panels: Sequence[Panel] | None,
) -> dict[str, Any]:
    roles = {name: [r for r in entry["roles"] if r["scan_id"] == scan["scan_id"]] for name, entry in setups.items()}
    own = [name for name, found in roles.items() if found]
    why = scan["why_no_picture"] or ("" if panels is not None else "its file is not in pictures/ any more")
    return {
        "anchor": anchor,
        "scan_id": scan["scan_id"],
        "subject": scan["subject"],
        "label": scan["label"],
        "roles": [{"title": f"{setup_title(name)}, {r['role']} {r['class']}", "why": sentence(r["why"])}
                  for name in own for r in roles[name]],
        "said": [_said(name, scan["setups"][name]) for name in own],
        "panels": [p for p in panels or () if not p.shows or set(p.shows) & set(own)],
        "no_picture": why,
        "bars": [_bars(setups[name], scan["setups"][name], scales[name]) for name in own],
    }  # fmt: skip


def _said(setup: str, said: dict[str, Any]) -> str:
    """What the setup's classifier says of the scan, beside the truth."""
    verdict = {True: ", right", False: ", wrong", None: ""}[said["right"]]
    return (f"{setup_title(setup)}: true class {said['true'] or 'none of the two'}, predicted "
            f"{said['predicted'] or 'neither'}{verdict}, margin {said['margin']:+.2f} logits")  # fmt: skip


def _value_titles(entries: Iterable[dict[str, Any]]) -> str:
    """What the layer values are: said once where all setups have the same."""
    own = {}
    for entry in entries:
        column = "" if entry["column"] == "value" else f", {words(entry['column'])}"
        own[setup_title(entry["setup"])] = method_title(entry["method"]) + column
    return next(iter(own.values())) if len(set(own.values())) == 1 else "; ".join(f"{k}: {v}" for k, v in own.items())


def _scale(entry: dict[str, Any], scans: Sequence[dict[str, Any]]) -> tuple[Scale, float]:
    """One scale for all example scans of a setup, their bars compare; and the size that numbers are written by."""
    own = [scan["setups"][entry["setup"]] for scan in scans if entry["setup"] in scan["setups"]]
    parts = [_part(value) for said in own for value in said["layers"].values()]
    return scale_of(parts, width=_WIDTH), column_scale(parts)


def _part(value: float | None) -> dict[str, Any]:
    return {"estimate": value, "low": None, "high": None}


def _bars(entry: dict[str, Any], said: dict[str, Any], drawn: tuple[Scale, float]) -> dict[str, Any]:
    """Layer by layer the scan's value, with the median that its class (or the cohort) has."""
    scale, size = drawn
    side = said["side"] if said["side"] in entry["medians"] else next(iter(entry["medians"]))
    medians = entry["medians"][side]["layers"]
    rows = []
    for name in LAYERS:
        text = number(said["layers"][name], 2, size)
        rows.append({"title": words(name), "colour": COLOURS[name], "text": text, "top": name == entry["top_layer"],
                     "median": number(medians[name], 2, size),
                     "figure": mark(_part(said["layers"][name]), scale, COLOURS[name], text)})  # fmt: skip
    return {"title": setup_title(entry["setup"]), "units": f"this scan, {entry['units']}", "rows": rows,
            "axis": axis(scale), "median_of": said["true"] if side != "all" and said["true"] else "all"}  # fmt: skip
