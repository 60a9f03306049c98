"""The layer table as plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .primary import other_fills, primary
from .sections.words import counted
from .style import METHOD_TITLES, ROWS, cell_order, column_scale, interval, plain, region_title, shown, shown_title


def layer_table_rows(summary: Mapping[str, Any], method: str = "layer_shapley") -> list[dict[str, str]]:
    """One row per region: {"region": ..., one key per setup: "0.42 [0.31, 0.53]"}; no rows if the method did not run.

    Where several models, members or masks share a setup, the key names them too. Of several fills the primary one.
    """
    cells = _cells(summary, method)
    names = _names(cells)
    rows = []
    for kind, name in ROWS if cells else ():
        row = {"region": region_title(kind, name)}
        for cell, column in zip(cells, names, strict=True):
            region = next(r for r in cell["regions"] if (r["region_kind"], r["region"]) == (kind, name))
            mark = "*" if cell["claim"]["driver"] == name and kind == "layer" else ""
            scale = column_scale([shown(cell, r) for r in cell["regions"]])
            row[column] = interval(shown(cell, region), 2, scale) + mark
        rows.append(row)
    return rows


def layer_table_text(summary: Mapping[str, Any]) -> str:
    """The layer tables of all methods and the answer of every setup, as text of fixed width."""
    lines: list[str] = []
    for method in dict.fromkeys(c["method"] for c in sorted(summary["cells"], key=cell_order)):
        title = shown_title(_cells(summary, method)[0])
        head = f"{METHOD_TITLES.get(method, plain(method))}: {plain(title)}"
        lines += [head, *grid(layer_table_rows(summary, method)), ""]
    for answer in sorted(summary["answers"], key=cell_order):
        lines.append(f"{plain(answer['setup'])}: {plain(counted(answer['text']))}")
        lines += [f"  {plain(counted(line))}" for line in other_fills(answer)]
    lines += ["", f"{summary['caption']} {summary['disclaimer']}"]
    return "\n".join(lines)


def _cells(summary: Mapping[str, Any], method: str) -> list[dict[str, Any]]:
    return sorted((c for c in primary(summary["cells"]) if c["method"] == method), key=cell_order)


def _names(cells: list[dict[str, Any]]) -> list[str]:
    short = [f"{c['setup']}:{c['channel']}" if c["channel"] else c["setup"] for c in cells]
    count = Counter(short)
    detail = ("model", "member", "fill", "target", "mask")
    return [
        plain(name if count[name] == 1 else "/".join([name, *(c[part] for part in detail)]))
        for name, c in zip(short, cells, strict=True)
    ]


def grid(rows: list[dict[str, str]]) -> list[str]:
    """Rows of equal keys as lines of fixed width, the keys above them."""
    head = list(rows[0])
    table = [head, *([row[name] for name in head] for row in rows)]
    width = [max(len(line[i]) for line in table) for i in range(len(head))]
    text = ["  ".join(cell.ljust(w) for cell, w in zip(line, width, strict=True)).rstrip() for line in table]
    return [text[0], "-" * max(len(line) for line in text), *text[1:]]
