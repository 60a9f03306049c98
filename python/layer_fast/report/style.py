"""Names, order and colours that every figure and table shares."""

from __future__ import annotations

import math
from typing import Any

from ..types import GROUPS, LAYERS, REGIONS, SETUPS

# Okabe and Ito's palette: told apart with every common kind of colour vision, on light and dark ground.
COLOURS: dict[str, str] = {
    "background": "#999999",
    "dermis": "#CC79A7",
    "superficial_fat": "#E69F00",
    "superficial_fascial_membrane": "#56B4E9",
    "deep_fat": "#F0E442",
    "deep_fascial_membrane": "#009E73",
    "muscle": "#D55E00",
}
GROUP_COLOUR = "#7F8FA6"
CASE_COLOUR, CONTROL_COLOUR = "#D55E00", "#0072B2"
METHOD_TITLES = {
    "layer_shapley": "Shapley values of whole layers",
    "gradcam": "Grad-CAM",
    "hirescam": "HiResCAM",
    "integrated_gradients": "Integrated gradients",
    "input_x_gradient": "Input times gradient",
    "smoothgrad": "SmoothGrad",
    "gradient": "Gradient",
    "layer_ablation": "Removal of whole layers",
}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
METHOD_ORDER = tuple(METHOD_TITLES)
SETUP_TITLES = {"bmode": "B-mode", "swe": "Shear wave", "both": "B-mode and shear wave"}
# What the bars of a cell show: a class contrast where there are signed values, a mean where there is a map. Maps of
# contributions keep their sign; of a bare gradient only the size says something about a whole layer.
_SHOWN_OF = {"gradient": "mean_abs", "smoothgrad": "mean_abs"} | dict.fromkeys(
    ("hirescam", "input_x_gradient", "integrated_gradients"), "mean"
)


def map_definition(cell: dict[str, Any]) -> str | None:
    """The definition that a cell of a map is shown by; None for the value methods."""
    name = _SHOWN_OF.get(cell["method"], "mean_minmax_volume")
    return name if cell["regions"] and name in cell["regions"][0]["means"] else None


ROWS: tuple[tuple[str, str], ...] = (
    ("background", "background"),
    *(("layer", name) for name in LAYERS),
    *(("group", name) for name in GROUPS),
)


def region_title(kind: str, name: str) -> str:
    """The name in words; groups are marked, since one has the name of a layer."""
    text = name.replace("non_muscle", "non-muscle").replace("_", " ")
    return f"{text} (group)" if kind == "group" else text


def colour(kind: str, name: str) -> str:
    return COLOURS[name] if kind != "group" and name in REGIONS else GROUP_COLOUR


def setup_title(setup: str) -> str:
    return SETUP_TITLES.get(setup, setup)


def cell_title(cell: dict[str, Any]) -> str:
    """The setup of a cell, and the channel where its map is of one channel only."""
    title = setup_title(cell["setup"])
    return f"{title}: {setup_title(cell['channel'])} channel" if cell["channel"] else title


def cell_order(cell: dict[str, Any]) -> tuple[Any, ...]:
    """Methods by evidence, setups as the library lists them, the rest by name."""
    method, setup = cell["method"], cell["setup"]
    return (
        METHOD_ORDER.index(method) if method in METHOD_ORDER else len(METHOD_ORDER),
        method,
        SETUPS.index(setup) if setup in SETUPS else len(SETUPS),
        setup,
        *(cell[name] for name in ("model", "member", "fill", "target", "mask", "channel")),
    )


def shown(cell: dict[str, Any], region: dict[str, Any]) -> dict[str, Any]:
    """The estimate and interval that a cell's bars show for a region."""
    if (definition := map_definition(cell)) is not None:
        return dict(region["means"][definition])
    return dict(region["contrast"] if has_contrast(cell) else region["means"][cell["definition"]])


def has_contrast(cell: dict[str, Any]) -> bool:
    return bool(cell["n_case"] and cell["n_control"])


def shown_title(cell: dict[str, Any]) -> str:
    if (definition := map_definition(cell)) is not None:
        return f"definition {definition}, averaged over subjects"
    return f"class contrast D ({cell['units']})" if has_contrast(cell) else f"mean over subjects ({cell['units']})"


def number(value: float | None, digits: int = 3, scale: float | None = None) -> str:
    """Fixed decimals where `scale` (the size of what stands in the same column; None: 1) is ordinary, as many as its
    size asks for, else an exponent; a missing number is a dash."""
    if value is None:
        return "–"
    if scale is not None and 1e-2 <= scale < 1:
        digits += 1 if scale >= 0.1 else 2
    if scale is not None and not 1e-2 <= scale < 1e4 and value != 0:
        return f"{value:.{digits - 1}e}"
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


def interval(part: dict[str, Any], digits: int = 3, scale: float | None = None) -> str:
    """Estimate [low, high], or the bare estimate where the interval is withheld."""
    estimate, low, high = (number(part[name], digits, scale) for name in ("estimate", "low", "high"))
    return estimate if part["low"] is None or part["high"] is None else f"{estimate} [{low}, {high}]"


def column_scale(parts: list[dict[str, Any]]) -> float:
    """The largest estimate of a column, which decides how all of it is written."""
    return max((abs(part["estimate"]) for part in parts if part["estimate"] is not None), default=1.0)


def power_of_ten(scale: float) -> tuple[float, str]:
    """What a column of this size is divided by so that no number in it needs an exponent, and what its head says of it:
    (0.001, " × 10⁻³"); (1.0, "") for sizes that fixed decimals suit."""
    if scale == 0 or 1e-2 <= scale < 1e4:
        return 1.0, ""
    power = math.floor(math.log10(scale))
    return 10.0**power, f" × 10{str(power).translate(_SUPERSCRIPT)}"


def plain(text: str) -> str:
    """Text without control characters, so that a name in a table cannot command a terminal."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)
