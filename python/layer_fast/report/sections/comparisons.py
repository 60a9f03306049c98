"""Highest layer, and muscle against non-muscle: the comparisons that reports on tissue layers make."""

from __future__ import annotations

from typing import Any

from ..figures import mark, scale_of
from ..primary import primary
from ..style import cell_order, column_scale, interval, number, region_title, setup_title
from .words import distinct, method_title, with_detail, words

METHODS = ("layer_shapley", "gradcam")  # removal says the same as Shapley here; claims.json has it
_COLOUR = "#7F8FA6"
# The two that abstracts in this field report come first.
_FIRST = (("highest_layer", "bmode"), ("muscle_against_non_muscle", "both"))


def comparisons(claims: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows in the order of the question; figures of one definition and question share a scale."""
    rows = [c for c in primary(claims["comparisons"]) if c["method"] in METHODS and not c["channel"]]
    rows.sort(key=_order)
    units = {c["definition"]: c["units"] for c in claims["cells"]}
    scales = {}
    for c in rows:
        parts = [r["difference"] for r in rows if _group(r) == _group(c) and r.get("difference")]
        scales[_group(c)] = scale_of(parts), column_scale(parts)
    out = []
    for c, which in zip(rows, distinct(rows), strict=True):
        difference = c.get("difference") or {"estimate": None, "low": None, "high": None}
        picture, digits = scales[_group(c)]
        text = interval(difference, 3, digits)
        kept = f"range {claims['definitions'][c['definition']]['range'].partition(';')[0]}"
        unit = units[c["definition"]] if c["method"] == METHODS[0] else kept
        out.append(
            {
                **c, "title": with_detail(setup_title(c['setup']), which), "method_title": method_title(c["method"]),
                "main": (c["comparison"], c["setup"]) in _FIRST, "said": _said(c, digits), "difference_text": text,
                "figure": mark(difference, picture, _COLOUR, text), "unit": unit,
            }
        )  # fmt: skip
    return out


def not_made(claims: dict[str, Any]) -> list[str]:
    """Which of the two comparisons of abstracts this run cannot make, each in a sentence."""
    held = {(c["comparison"], c["setup"]) for c in claims["comparisons"] if c["method"] in METHODS}
    names = {"highest_layer": "the highest layer", "muscle_against_non_muscle": "muscle against non-muscle"}
    return [f"This run has no setup {setup_title(setup)}, so that {names[what]} stands here for others only."
            for what, setup in _FIRST if (what, setup) not in held]  # fmt: skip


def _group(c: dict[str, Any]) -> tuple[Any, ...]:
    return c["comparison"], c["definition"]


def _order(c: dict[str, Any]) -> tuple[Any, ...]:
    key = (c["comparison"], c["setup"])
    return (_FIRST.index(key) if key in _FIRST else len(_FIRST), c["comparison"], *cell_order(c))


def _said(c: dict[str, Any], scale: float) -> str:
    if c["comparison"] == "highest_layer":
        if not c["first"]:
            return "no layer has a value"
        parts = [f"{words(c[n]['region'])} {number(c[n]['estimate'], 3, scale)}" for n in ("first", "second")]
        return f"highest layer: {parts[0]}; next: {parts[1]}"
    names = [region_title("group", n).removesuffix(" (group)") for n in ("non_muscle", "muscle")]
    values = [number(c[n], 3, scale) for n in ("non_muscle", "muscle")]
    return f"{names[0]} {values[0]}; {names[1]} {values[1]}"
