"""One answer for each question, however many fills were run: what several fills say of one model is one finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...fills import FILLS, removes_content
from ..tables import CELL_KEYS


def by_question(answers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Answers of single cells -> one per setup, model, member, target and mask, in the order of their first.

    The primary fill speaks: the first of them in the order of `fills.FILLS`. The others stand under it in
    `other_fills`: fill, removes_content, verdict, driver, top, tied, text.
    """
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for answer in answers:
        key = tuple(answer[name] for name in CELL_KEYS if name != "fill")
        groups.setdefault(key, []).append(answer)
    out = []
    for group in groups.values():
        first, *rest = sorted(group, key=lambda answer: rank(answer["fill"]))
        out.append({**first, "other_fills": [_short(answer) for answer in rest]})
    return out


def rank(fill: str) -> tuple[int, str]:
    """Sorts fills in the order of the library, which has those that remove content first; unknown ones come last."""
    return FILLS.index(fill) if fill in FILLS else len(FILLS), fill


def _short(answer: Mapping[str, Any]) -> dict[str, Any]:
    names = ("fill", "verdict", "driver", "top", "tied", "text")
    return {**{name: answer[name] for name in names}, "removes_content": removes_content(answer["fill"])}
