"""Wording that several sections share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..style import METHOD_TITLES, cell_title

CELL = ("setup", "method", "model", "member", "fill", "target", "mask", "channel")
USED = ("ok", "ok_degraded")


def words(name: str | None) -> str:
    """A region's name in words."""
    return (name or "none").replace("non_muscle", "non-muscle").replace("_", " ")


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def counted(text: str) -> str:
    """The text of an answer with "1 are not checked" as one says it."""
    return text.replace("; 0 are not checked", "").replace("; 1 are not checked", "; 1 is not checked")


def with_detail(title: str, detail: str) -> str:
    """A title and what tells it from others of its setup, where there is something."""
    return f"{title}, {detail}" if detail else title


def method_title(name: str) -> str:
    return METHOD_TITLES.get(name, name)


def cell_name(cell: Mapping[str, Any]) -> str:
    """Setup (and channel) and method of a cell."""
    return f"{cell_title(dict(cell))}, {method_title(cell['method'])}"


def named(cell: Mapping[str, Any]) -> dict[str, Any]:
    """The cell with both classes in words: of several classes one may be compared with all the others."""
    return {**cell, "negative": "all others"} if cell["negative"] is None else dict(cell)


def distinct(cells: list[dict[str, Any]], names: tuple[str, ...] = ("model", "member", "target", "mask")) -> list[str]:
    """For each cell what tells it from others of its setup, or "" where the setup says it all."""
    differ = [n for n in names if any(a[n] != b[n] and a["setup"] == b["setup"] for a in cells for b in cells[:40])]
    return [", ".join(f"{name} {cell[name]}" for name in differ) for cell in cells]
