"""Model quality: AUC, margins of the subjects, calibration, and what geometry alone reaches."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ...types import LAYERS
from ..figures import Scale, area, axis, bins, dots, mark, scale_of
from ..style import CASE_COLOUR, CONTROL_COLOUR, cell_order, interval, number, setup_title
from .classes import Classes, classes_of
from .words import USED, distinct, with_detail

_KEY = ("setup", "model", "member", "target", "mask")
_NEUTRAL = "#7F8FA6"
_WIDTH, _ROW = 480, 44
_DOTS = 60  # subjects of a class that are still drawn one by one
_CALIBRATION = {"brier": "Brier score", "log_loss": "log-loss", "intercept": "intercept", "slope": "slope"}


def quality(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line per classifier: the AUC is the same for every method."""
    seen: dict[tuple[str, ...], dict[str, Any]] = {}
    for cell in cells:
        seen.setdefault(tuple(cell[name] for name in _KEY), cell)
    scale = Scale(0.0, 1.0, 0.5)
    out = []
    for cell in seen.values():
        part = {"estimate": cell["auc"]["auc"], "low": cell["auc"]["low"], "high": cell["auc"]["high"]}
        figure = mark(part, scale, _NEUTRAL)
        out.append({**cell, "title": setup_title(cell["setup"]), "figure": figure, "text": interval(part)})
    return out


def strips(scans: list[dict[str, Any]], cells: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Subject-mean margins of both classes as dots, a row per setup; None where no setup has any."""
    found = [(setup_title(s), pair, *_margins(scans, s, pair)) for s, pair in classes_of(cells).items()]
    found = [row for row in found if row[2] or row[3]]
    if not found:
        return None
    values = [m for *_, case, control in found for m in (*case, *control)]
    scale = scale_of([{"estimate": m, "low": None, "high": None} for m in values], width=_WIDTH)
    rows = []
    binned = max(len(m) for *_, case, control in found for m in (case, control)) > _DOTS
    for title, pair, case, control in found:
        rows.append({"title": title, **(_areas if binned else _dots)(case, control, scale),
                     "names": [pair.positive, pair.negative or "all others"],
                     "texts": [_range(case), _range(control)]})  # fmt: skip
    return {"rows": rows, "axis": axis(scale), "width": _WIDTH, "height": _ROW, "binned": binned,
            "case_colour": CASE_COLOUR, "control_colour": CONTROL_COLOUR}  # fmt: skip


def _dots(case: list[float], control: list[float], scale: Scale) -> dict[str, str]:
    return {"shape": "dots", "case": dots(case, scale, 13), "control": dots(control, scale, 31)}


def _areas(case: list[float], control: list[float], scale: Scale) -> dict[str, str]:
    """Two histograms back to back, of one height of a subject: so many dots would be a band."""
    up, down = bins(case, scale), bins(control, scale)
    largest, middle = max(*up, *down), _ROW / 2
    return {"shape": "area", "case": area(up, middle - 1, middle - 3, largest),
            "control": area(down, middle + 1, 3 - middle, largest)}  # fmt: skip


def _margins(scans: list[dict[str, Any]], setup: str, classes: Classes) -> tuple[list[float], list[float]]:
    by_class: dict[bool, dict[str, list[float]]] = {True: {}, False: {}}
    for row in scans:
        margin, side = row.get(f"margin_{setup}"), classes.is_case(row["label"])
        if row["status"] in USED and side is not None and margin is not None and margin == margin:
            by_class[side].setdefault(row["subject"], []).append(margin)
    case, control = ([sum(m) / len(m) for m in by_class[k].values()] for k in (True, False))
    return case, control


def _range(values: list[float]) -> str:
    if not values:
        return "no subject"
    ordered = sorted(values)
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return f"{len(ordered)} subjects, {number(ordered[0], 2)} to {number(ordered[-1], 2)}, median {number(middle, 2)}"


def calibration(stats: dict[str, Any]) -> dict[str, Any]:
    """Calibration of every classifier as text, with the reasons where a number cannot be had."""
    rows = sorted(({**c, "method": "", "fill": "", "channel": ""} for c in stats["calibration"]), key=cell_order)
    out = []
    for c, which in zip(rows, distinct(rows), strict=True):
        parts = [c[name] for name in _CALIBRATION]
        reasons = dict.fromkeys(p["not_estimable"] for p in parts if p.get("not_estimable"))
        out.append({
            "title": with_detail(setup_title(c['setup']), which),
            "values": [interval(p) for p in parts],
            "notes": "; ".join([*reasons, *([c["withheld"]] if c["withheld"] else [])]),
        })  # fmt: skip
    return {"titles": list(_CALIBRATION.values()), "rows": out}


def geometry(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """AUC of the image beside that of every set of confounders, where the claims hold them."""
    found = [c for c in cells if c.get("confounding")]
    out = []
    for cell, which in zip(found, distinct(found), strict=True):
        held, scale = cell["confounding"], Scale(0.0, 1.0, 0.5)
        image = _auc("the image (the model's margin)", (), held["image"], scale)
        rows = [image, *(_auc(s["name"].replace("_", " "), s["columns"], s["auc"], scale, s) for s in held["sets"])]
        out.append({"title": with_detail(setup_title(cell['setup']), which), "rows": rows, "axis": axis(scale),
                    "adjusted": held["adjusted"], "units": cell["units"]})  # fmt: skip
    return out


def _columns(names: Any) -> str:
    """Names of columns; those that there is one of for every layer, once with their number."""
    found: Counter[tuple[str, bool]] = Counter()
    for name in names:
        layer = next((layer for layer in LAYERS if name.endswith(f"_{layer}")), "")
        found[name.removesuffix(f"_{layer}") if layer else name, bool(layer)] += 1
    return ", ".join(f"{name} of {n} layers" if layered else name for (name, layered), n in found.items())


def _auc(title: str, columns: Any, auc: dict[str, Any], scale: Scale, lead: Any = None) -> dict[str, Any]:
    part = {"estimate": auc["auc"], "low": auc["low"], "high": auc["high"]}
    text = interval(part, 2)
    ahead = "" if lead is None else interval(
        {"estimate": lead["lead"], "low": lead["lead_low"], "high": lead["lead_high"]}, 2)  # fmt: skip
    return {"title": title, "columns": _columns(columns), "text": text, "lead": ahead,
            "figure": mark(part, scale, _NEUTRAL, text)}  # fmt: skip
