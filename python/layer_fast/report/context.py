"""What the report shows, as plain data: the template only lays it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..types import LAYERS, SETUPS
from .figures import layer_bars, margin_strips
from .fills import other_fills, primary
from .slices import Example
from .style import (
    COLOURS,
    METHOD_TITLES,
    ROWS,
    cell_order,
    cell_title,
    colour,
    column_scale,
    map_definition,
    number,
    region_title,
    setup_title,
    shown,
    shown_title,
)

COMPARED = ("layer_shapley", "gradcam")  # removal says the same as Shapley here; claims.json has it
LISTED_SCANS = 50  # bad scans named in the report; scans.parquet has them all
USED = ("ok", "ok_degraded")
_GATE_TITLES = {
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


def build(
    claims: dict[str, Any], run: dict[str, Any], scans: list[dict[str, Any]], examples: list[Example]
) -> dict[str, Any]:
    """The template's context from claims.json, run.json, the rows of scans.parquet and the example slices."""
    raw = sorted(primary(claims["cells"]), key=cell_order)
    cells = [_named(c) for c in raw]
    compared = [c for c in primary(claims["comparisons"]) if c["method"] in COMPARED]
    return {
        "caption": claims["caption"],
        "disclaimer": claims["disclaimer"],
        "banner": _banner(run, scans),
        "answers": [_answer(_named(a), claims) for a in sorted(claims["answers"], key=cell_order)],
        "comparisons": [_comparison(c) for c in sorted(compared, key=_by_question)],
        "methods": _methods(cells, claims["definitions"]),
        "legend": [(region_title("layer", name), COLOURS[name]) for name in LAYERS],
        "examples": examples,
        "quality": _quality(cells),
        "strips": _strips(scans, raw),
        "counts": sorted(claims["scans"]["by_status"].items()),
        "totals": claims["scans"],
        "bad_scans": [row for row in scans if row["status"] not in USED][:LISTED_SCANS],
        "bad_total": sum(row["status"] not in USED for row in scans),
        "flags": sorted(_flags(row["flags"] for row in scans).items()),
        "cell_flags": [(_cell_name(c), sorted(c["flags"].items())) for c in cells if c["flags"]],
        "excluded": [(_cell_name(c), sorted(c["excluded"].items())) for c in cells if c["excluded"]],
        "definitions": list(claims["definitions"].values()),
        "settings": sorted(_settings(claims["settings"]).items()),
        "facts": sorted(_flat(run).items()),
    }


def _settings(settings: dict[str, Any]) -> dict[str, Any]:
    if settings["positive"] is None:
        return {**settings, "positive": "differs by target", "negative": "differs by target"}
    return _named(settings)


def _named(cell: dict[str, Any]) -> dict[str, Any]:
    """Of several classes one may be compared with all the others."""
    return cell if cell["negative"] is not None else {**cell, "negative": "all others"}


def _banner(run: dict[str, Any], scans: list[dict[str, Any]]) -> str:
    waiting = sum(row["status"] == "pending" for row in scans)
    if run.get("complete") is True and not waiting:
        return ""
    return f"This run is not complete: {waiting} of {len(scans)} scans have not been run. The numbers will change."


def _answer(answer: dict[str, Any], claims: dict[str, Any]) -> dict[str, Any]:
    same = ("setup", "method", "model", "member", "fill", "target", "mask", "channel")
    cell = next(c for c in claims["cells"] if all(c[name] == answer[name] for name in same))
    kind = "found" if answer["driver"] else "open"
    headline = f"Candidate driver: {_words(answer['driver'])}" if answer["driver"] else "No single driver"
    return {
        **answer,
        "title": setup_title(answer["setup"]),
        "kind": kind,
        "headline": headline,
        "why": _sentence(answer["text"].split(". " if answer["driver"] else ": ", 1)[-1]),
        "gates": [_gate(g) for g in answer["gates"]],
        "fills": other_fills(answer),
        "auc": cell["auc"],
        "rank": cell["rank_correlation"],
        "n_case": cell["n_case"],
        "n_control": cell["n_control"],
    }


def _gate(gate: dict[str, Any]) -> dict[str, Any]:
    states = {True: ("holds", "✓"), False: ("fails", "✗"), None: ("not checked", "–")}
    state, sign = states[gate["passed"]]
    value = gate["value"]
    digits = 0 if gate["name"] in ("subjects", "layer_present") else 3 if gate["name"] == "auc" else 4
    text = "" if value is None else value if isinstance(value, str) else number(value, digits)
    return {**gate, "title": _GATE_TITLES.get(gate["name"], gate["name"]), "state": state, "sign": sign, "shown": text}


def _by_question(c: dict[str, Any]) -> tuple[Any, ...]:
    return (c["comparison"], *cell_order(c))


def _comparison(c: dict[str, Any]) -> dict[str, Any]:
    return {
        **c,
        "title": setup_title(c["setup"]),
        "method_title": METHOD_TITLES.get(c["method"], c["method"]),
        "first_name": _words(c["first"]["region"]) if c.get("first") else "",
        "second_name": _words(c["second"]["region"]) if c.get("second") else "",
    }


def _methods(cells: list[dict[str, Any]], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    names = list(dict.fromkeys(c["method"] for c in cells))
    return [
        {
            "name": name,
            "title": METHOD_TITLES.get(name, name),
            "cells": [_cell(c, definitions[c["definition"]]["pooling"]) for c in cells if c["method"] == name],
        }
        for name in names
    ]


def _cell(cell: dict[str, Any], pooling: str) -> dict[str, Any]:
    regions = {(r["region_kind"], r["region"]): r for r in cell["regions"]}
    rows = []
    for kind, name in ROWS:
        region = regions[kind, name]
        rows.append(
            {"title": region_title(kind, name), "colour": colour(kind, name), "shown": shown(cell, region), **region}
        )
    value_title = shown_title(cell)
    return {
        **cell,
        "title": cell_title(cell),
        "value_title": value_title,
        "rows": rows,
        "is_map": map_definition(cell) is not None,
        "pooling": pooling,
        "scale": column_scale([r["contrast"] for r in cell["regions"]]),
        "figure": layer_bars(cell, value_title),
        "tops": [(name, _words(top)) for name, top in sorted(cell["top_by_definition"].items())],
    }


def _quality(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line per setup and model: the AUC is the same for every method."""
    seen: dict[tuple[str, ...], dict[str, Any]] = {}
    for cell in cells:
        key = tuple(cell[name] for name in ("setup", "model", "member", "target", "mask"))
        seen.setdefault(key, {**cell, "title": setup_title(cell["setup"])})
    return list(seen.values())


def _strips(scans: list[dict[str, Any]], cells: list[dict[str, Any]]) -> dict[str, str] | None:
    """None for a setup whose classifiers compare different classes: scans.parquet holds one margin per setup."""
    groups = []
    for setup in SETUPS:
        pairs = {(cell["positive"], cell["negative"]): cell["levels"] for cell in cells if cell["setup"] == setup}
        if len(pairs) != 1:
            continue
        (positive, negative), levels = pairs.popitem()
        side = {name: positive if at == "positive" else negative for at in levels or () for name in levels[at]}
        by_class: dict[str | None, dict[str, list[float]]] = {positive: {}, negative: {}}
        for row in scans:
            margin, label = row.get(f"margin_{setup}"), side.get(row["label"], row["label"])
            if negative is None and label and label != positive:
                label = None  # every other class
            elif negative is None and not label:
                continue
            if row["status"] in USED and label in by_class and margin is not None:
                by_class[label].setdefault(row["subject"], []).append(margin)
        case, control = ([sum(m) / len(m) for m in by_class[name].values()] for name in (positive, negative))
        if case or control:
            groups.append((setup_title(setup), case, control))
    return margin_strips(groups) if groups else None


def _flags(texts: Iterable[str | None]) -> Counter[str]:
    return Counter(flag for text in texts for flag in (text or "").split(";") if flag)


def _cell_name(cell: dict[str, Any]) -> str:
    return f"{cell_title(cell)}, {METHOD_TITLES.get(cell['method'], cell['method'])}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _words(name: str | None) -> str:
    return (name or "none").replace("_", " ")


def _flat(value: Any, path: str = "") -> dict[str, str]:
    """run.json as lines: "config.fill" -> "cohort_profile"."""
    if isinstance(value, (dict, list)) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        out: dict[str, str] = {}
        for key, part in pairs:
            out.update(_flat(part, f"{path}.{key}" if path else str(key)))
        return out
    return {path: "–" if value is None or value in ({}, [], "") else str(value)}
