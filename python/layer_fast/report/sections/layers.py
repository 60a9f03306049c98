"""Bars with intervals: every method by itself, and Shapley values beside saliency."""

from __future__ import annotations

from typing import Any

from ..figures import Scale, axis, mark, scale_of
from ..style import (
    ROWS,
    cell_title,
    colour,
    column_scale,
    has_contrast,
    interval,
    map_definition,
    power_of_ten,
    region_title,
    setup_title,
    shown,
    shown_title,
)
from .words import counted, distinct, method_title, with_detail, words

_BESIDE = ("layer_shapley", "gradcam")
_ONLY = "Descriptive only: "  # how the text of a claim goes on that cannot be one
_SMALL = 96  # pixels of a small multiple
_PANELS = 3  # setups side by side
Regions = dict[tuple[str, str], dict[str, Any]]


def regions_of(cell: dict[str, Any]) -> Regions:
    return {(r["region_kind"], r["region"]): r for r in cell["regions"]}


def methods(cells: list[dict[str, Any]], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """Every method with its cells: rows of regions, each with its bar and numbers; once, why it supports no claim."""
    out = []
    for name in dict.fromkeys(c["method"] for c in cells):
        own = [c for c in cells if c["method"] == name]
        only = dict.fromkeys("".join(c["claim"]["text"].partition(_ONLY)[1:]) for c in own)
        out.append({"name": name, "title": method_title(name), "only": " ".join(only).replace(name, "this method"),
                    "cells": [_cell(c, definitions[c["definition"]]["pooling"]) for c in own]})  # fmt: skip
    return out


def _cell(cell: dict[str, Any], pooling: str) -> dict[str, Any]:
    regions = regions_of(cell)
    parts = {key: shown(cell, regions[key]) for key in ROWS}
    scale, size = scale_of(parts.values()), column_scale(list(parts.values()))
    contrast = column_scale([r["contrast"] for r in cell["regions"]])
    unit, times = power_of_ten(contrast)
    rows = []
    for key in ROWS:
        text = interval(parts[key], 3, size)
        rows.append({**regions[key], "title": region_title(*key), "colour": colour(*key), "text": text,
                     "d": interval(_divided(regions[key]["contrast"], unit), 3, contrast / unit),
                     "figure": mark(parts[key], scale, colour(*key), text)})  # fmt: skip
    return {
        **cell,
        "title": cell_title(cell),
        "value_title": shown_title(cell),
        "rows": rows,
        "axis": axis(scale),
        "is_map": map_definition(cell) is not None,
        "pooling": pooling,
        "scale": contrast,
        "times": times,
        "said": counted(cell["claim"]["text"]).partition(_ONLY)[0].strip(),
        "tops": [(name, words(top)) for name, top in sorted(cell["top_by_definition"].items())],
    }


def _divided(part: dict[str, Any], unit: float) -> dict[str, Any]:
    return {n: None if part[n] is None else part[n] / unit for n in ("estimate", "low", "high")}


def beside(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tables of small multiples: for every classifier the Shapley values and Grad-CAM, region by region.

    All panels of a method share one scale, so that bars compare between setups and never between methods."""
    own = [c for c in cells if c["method"] in _BESIDE and not c["channel"]]
    scales = {m: _shared([c for c in own if c["method"] == m]) for m in _BESIDE}
    key = ("setup", "model", "member", "target", "mask")
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for cell in own:
        groups.setdefault(tuple(cell[name] for name in key), []).append(cell)
    both = [found for found in groups.values() if len(found) == len(_BESIDE)]
    extra = distinct([found[0] for found in both])
    titles = [with_detail(setup_title(f[0]['setup']), e) for f, e in zip(both, extra, strict=True)]
    tables = []
    for start in range(0, len(both), _PANELS):
        part, panel_cells = both[start : start + _PANELS], []
        for found in part:
            panel_cells += sorted(found, key=lambda c: _BESIDE.index(c["method"]))
        tables.append({
            "titles": titles[start : start + _PANELS],
            "columns": [_column(c) for c in panel_cells],
            "axes": [axis(scales[c["method"]][0]) for c in panel_cells],
            "rows": [_small_row(k, panel_cells, scales) for k in ROWS],
            "tops": [_tops(found, title) for found, title in zip(part, titles[start:], strict=False)],
        })  # fmt: skip
    return tables


def _column(cell: dict[str, Any]) -> str:
    if cell["method"] != _BESIDE[0]:
        return method_title(cell["method"])
    return "Shapley: D" if has_contrast(cell) else "Shapley: mean"


def _shared(cells: list[dict[str, Any]]) -> tuple[Scale, float]:
    parts = [{**shown(c, r), "low": None, "high": None} for c in cells for r in c["regions"]]
    return scale_of(parts, width=_SMALL), column_scale(parts)


def _small_row(
    key: tuple[str, str], cells: list[dict[str, Any]], scales: dict[str, tuple[Scale, float]]
) -> dict[str, Any]:
    marks = []
    for cell in cells:
        scale, _ = scales[cell["method"]]
        part = {**shown(cell, regions_of(cell)[key]), "low": None, "high": None}
        text = interval(part, 2)
        marks.append({"text": text, "figure": mark(part, scale, colour(*key), text)})
    return {"title": region_title(*key), "colour": colour(*key), "marks": marks}


def _tops(found: list[dict[str, Any]], title: str) -> str:
    """Which layer each of the two puts first."""
    tops = []
    for cell in sorted(found, key=lambda c: _BESIDE.index(c["method"])):
        layers = [(shown(cell, r)["estimate"], r["region"]) for r in cell["regions"] if r["region_kind"] == "layer"]
        known = [(value, name) for value, name in layers if value is not None]
        tops.append(words(max(known, key=lambda v: v[0])[1]) if known else "none")
    return f"{title}: both put {tops[0]} first" if tops[0] == tops[1] else (
        f"{title}: Shapley values put {tops[0]} first, Grad-CAM {tops[1]}")  # fmt: skip
