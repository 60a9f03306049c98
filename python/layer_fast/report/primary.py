"""Several fills of one model are one finding: the primary fill is shown, the others stand under its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config import VALUE_METHODS
from ..quantify.claim.answers import rank

_QUESTION = ("setup", "method", "model", "member", "target", "mask", "channel")


def primary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Cells or comparisons of claims.json without those of the value methods under a further fill."""
    best: dict[tuple[str, ...], tuple[int, str]] = {}
    for row in rows:
        key = tuple(row[name] for name in _QUESTION)
        best[key] = min(best.get(key, rank(row["fill"])), rank(row["fill"]))
    return [
        dict(row)
        for row in rows
        if row["method"] not in VALUE_METHODS or rank(row["fill"]) == best[tuple(row[name] for name in _QUESTION)]
    ]


def other_fills(answer: Mapping[str, Any]) -> list[str]:
    """A line for every further fill of an answer: "fill constant: deep fat has the largest contrast ..."."""
    lines = []
    for other in answer.get("other_fills", ()):
        kind = "fill" if other["removes_content"] else "diagnostic fill"
        top = (other["top"] or "none").replace("_", " ")
        said = "the same layer" if other["top"] == answer["top"] else f"another layer on top, {top}"
        lines.append(f"{kind} {other['fill']}: {said}; {other['text']}")
    return lines
