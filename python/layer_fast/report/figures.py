"""Figures as SVG, for light and for dark ground. Text in them comes from this package or is stripped to plain text."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from .style import CASE_COLOUR, CONTROL_COLOUR, ROWS, colour, plain, region_title, shown

INK, FAINT = "#1c2430", "#c9d0d9"  # drawn for light ground; the dark figure is the same file with these exchanged
DARK = {INK: "#e6e9ee", FAINT: "#3d4653"}
SVG_RULES: Any = {
    "svg.hashsalt": "layer_fast",  # ids inside the file do not change from run to run
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
_LEFT_INCH = 2.0  # room for the longest name of a region


def layer_bars(cell: dict[str, Any], axis_title: str) -> dict[str, str]:
    """Bars with intervals of one cell, background and layers above, groups below: {"light": data URI, "dark": ...}."""
    regions = {(r["region_kind"], r["region"]): r for r in cell["regions"]}
    figure, axes = _figure(5.6, 3.3)
    positions = [i + (0.6 if kind == "group" else 0.0) for i, (kind, _) in enumerate(ROWS)]
    for y, (kind, name) in zip(positions, ROWS, strict=True):
        part = shown(cell, regions[kind, name])
        estimate, low, high = (np.nan if part[k] is None else part[k] for k in ("estimate", "low", "high"))
        axes.barh(y, estimate, height=0.68, color=colour(kind, name), edgecolor=INK, linewidth=0.4)
        if np.isfinite([low, high]).all():
            axes.plot([low, high], [y, y], color=INK, linewidth=1.3, solid_capstyle="butt")
            axes.plot([low, high], [y, y], linestyle="", marker="|", markersize=6, color=INK)
        if np.isnan(estimate):
            axes.text(0, y, " no value", va="center", fontsize=8)
    axes.set_yticks(positions, [region_title(kind, name) for kind, name in ROWS])
    axes.set_ylim(positions[-1] + 0.6, -0.6)
    return _finish(figure, axes, axis_title)


def margin_strips(groups: list[tuple[str, list[float], list[float]]]) -> dict[str, str]:
    """Subject-mean margins of cases and controls, one row per setup title: {"light": ..., "dark": ...}."""
    figure, axes = _figure(5.6, 0.7 + 0.75 * len(groups))
    for y, (_, case, control) in enumerate(groups):
        for values, shift, face, marker in ((case, -0.15, CASE_COLOUR, "o"), (control, 0.15, CONTROL_COLOUR, "D")):
            # a fixed zigzag instead of random jitter: overlapping subjects stay visible and bytes stay the same
            offset = [shift + 0.05 * (i % 3 - 1) for i in range(len(values))]
            axes.plot(sorted(values), [y + o for o in offset], linestyle="", marker=marker, markersize=4.2,
                      markerfacecolor=face, markeredgecolor=INK, markeredgewidth=0.4, alpha=0.85)  # fmt: skip
    axes.set_yticks(range(len(groups)), [title for title, _, _ in groups])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    return _finish(figure, axes, "margin, mean over the subject's scans (logits)")


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(SVG_RULES):
        figure = Figure(figsize=(width, height))
        left, bottom = _LEFT_INCH / width, 0.5 / height
        axes = figure.add_axes((left, bottom, 0.98 - left, 0.98 - bottom))
    figure.patch.set_alpha(0.0)
    axes.patch.set_alpha(0.0)
    for name in ("top", "right", "left"):
        axes.spines[name].set_visible(False)
    axes.spines["bottom"].set_color(INK)
    axes.tick_params(length=0)
    axes.set_axisbelow(True)
    return figure, axes


def _finish(figure: Any, axes: Any, axis_title: str) -> dict[str, str]:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context(SVG_RULES):
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.grid(axis="x", color=FAINT, linewidth=0.6)
        axes.set_xlabel(plain(axis_title))
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    light = buffer.getvalue().decode("utf-8")
    dark = light
    for old, new in DARK.items():
        dark = dark.replace(old, new)
    return {"light": data_uri("image/svg+xml", light.encode()), "dark": data_uri("image/svg+xml", dark.encode())}


def data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
