"""Fills side by side: does the contrast of a layer depend on what replaces a removed one?"""

from __future__ import annotations

from typing import Any

from ...quantify.claim.answers import rank
from ..figures import axis, mark, scale_of
from ..primary import other_fills
from ..style import ROWS, cell_order, colour, column_scale, interval, region_title, setup_title
from .layers import regions_of
from .words import counted, distinct, with_detail, words

_METHOD = "layer_shapley"
_SMALL = 130


def fills(claims: dict[str, Any]) -> list[dict[str, Any]]:
    """One table for every classifier with Shapley values: D of every region under every fill, on one scale."""
    key = ("setup", "model", "member", "target", "mask", "channel")
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for cell in sorted(claims["cells"], key=cell_order):
        if cell["method"] == _METHOD:
            groups.setdefault(tuple(cell[name] for name in key), []).append(cell)
    found = list(groups.values())
    extra = distinct([cells[0] for cells in found])
    lines = {tuple(a[name] for name in key): [counted(t) for t in other_fills(a)] for a in claims["answers"]}
    return [_table(cells, text, lines.get(name, []))
            for (name, cells), text in zip(groups.items(), extra, strict=True)]  # fmt: skip


def _table(cells: list[dict[str, Any]], which: str, lines: list[str]) -> dict[str, Any]:
    cells = sorted(cells, key=lambda c: rank(c["fill"]))
    parts = [r["contrast"] for c in cells for r in c["regions"]]
    scale, size = scale_of(parts, width=_SMALL), column_scale(parts)
    rows = []
    for key in ROWS:
        marks = []
        for cell in cells:
            part = regions_of(cell)[key]["contrast"]
            text = interval(part, 2, size)
            marks.append({"text": text, "figure": mark(part, scale, colour(*key), text)})
        rows.append({"title": region_title(*key), "colour": colour(*key), "marks": marks})
    return {
        "title": with_detail(setup_title(cells[0]['setup']), which),
        "columns": [c["fill"] for c in cells],
        "tops": [words(c["claim"]["top"]) for c in cells],
        "axis": axis(scale),
        "units": cells[0]["units"],
        "rows": rows,
        "lines": lines,
    }
