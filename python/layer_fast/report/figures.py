"""Geometry of the figures: the templates draw it as inline SVG, in the colours of the page, beside the numbers."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .style import interval

WIDTH, HEIGHT, PAD = 240, 20, 10  # CSS pixels; PAD keeps the ends of an interval inside
BIN = 8  # pixels of a bar of a histogram
_MIDDLE = HEIGHT / 2


@dataclass(frozen=True, slots=True)
class Scale:
    """Values low..high over a picture of `width` pixels. origin: the value that bars start from and a line marks."""

    low: float
    high: float
    origin: float = 0.0
    width: int = WIDTH

    def x(self, value: float) -> float:
        """Pixel of a value, one decimal; what lies outside stands at the edge."""
        inside = min(max(value, self.low), self.high)
        return round(PAD + (self.width - 2 * PAD) * (inside - self.low) / (self.high - self.low), 1)

    def ticks(self) -> list[dict[str, Any]]:
        """Round values of the scale with their pixels, the origin among them; two at least, for one tells no scale."""
        step = _step((self.high - self.low) / (self.width / 40))
        values = self._round(step)
        if len(values) < 2:
            step = _step(step / 2.5)
            values = sorted({self.origin, max(self._round(step), key=lambda v: abs(v - self.origin))})
        digits = max(0, -math.floor(math.log10(step)))
        return [{"x": self.x(v), "text": _tick(v, digits)} for v in values]

    def _round(self, step: float) -> list[float]:
        first, last = math.ceil((self.low - self.origin) / step), math.floor((self.high - self.origin) / step)
        return [self.origin + k * step for k in range(first, last + 1)]


def scale_of(parts: Iterable[Mapping[str, Any]], *, origin: float = 0.0, width: int = WIDTH) -> Scale:
    """The scale that holds every estimate and interval of `parts`, and the origin."""
    names = ("estimate", "low", "high")
    values = [origin, *(float(p[n]) for p in parts for n in names if p.get(n) is not None)]
    low, high = min(values), max(values)
    return Scale(low, high, origin, width) if high > low else Scale(origin, origin + 1.0, origin, width)


def mark(part: Mapping[str, Any], scale: Scale, colour: str, text: str = "") -> dict[str, Any]:
    """One row of a figure: a bar from the origin to the estimate (or a dot there), and the interval as a path.

    part: estimate, low, high, each a number or None. Without an estimate `point` is None and the row says so."""
    found: dict[str, Any] = {"width": scale.width, "height": HEIGHT, "origin": scale.x(scale.origin), "colour": colour,
                             "point": None, "line": "", "text": text or interval(dict(part))}  # fmt: skip
    if part["estimate"] is None:
        return found
    point = scale.x(part["estimate"])
    found |= {"point": point, "left": min(point, found["origin"]), "size": round(abs(point - found["origin"]), 1)}
    if part["low"] is not None and part["high"] is not None:
        low, high = scale.x(part["low"]), scale.x(part["high"])
        found["line"] = f"M{low} {_MIDDLE:g}H{high}M{low} 5V15M{high} 5V15"
    return found


def axis(scale: Scale) -> dict[str, Any]:
    """The scale under the rows of a figure."""
    return {"width": scale.width, "height": HEIGHT, "origin": scale.x(scale.origin), "ticks": scale.ticks()}


def dots(values: Iterable[float], scale: Scale, y: float) -> str:
    """Path of round dots at the values, on a fixed zigzag about pixel y: overlapping ones stay visible."""
    places = enumerate(sorted(values))
    return "".join(f"M{scale.x(value)} {y + 3.5 * (i % 3 - 1):g}h0" for i, value in places)


def bins(values: Iterable[float], scale: Scale) -> list[int]:
    """How many values lie in each bin of BIN pixels over the scale, edges to the bin on their right, the last in."""
    found = [0] * math.ceil((scale.width - 2 * PAD) / BIN)
    for value in values:
        found[min(int((scale.x(value) - PAD) // BIN), len(found) - 1)] += 1
    return found


def area(counts: Sequence[int], base: float, height: float, largest: int) -> str:
    """Path of a histogram that stands on pixel `base`: `largest` is `height` pixels high (negative: hangs below)."""
    steps = "".join(f"V{base - height * n / largest:.4g}h{BIN}" for n in counts)
    return f"M{PAD} {base:g}{steps}V{base:g}Z"


def _step(raw: float) -> float:
    size = 10.0 ** math.floor(math.log10(raw))
    return next(size * k for k in (1, 2, 5, 10) if size * k >= raw * 0.999)


def _tick(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}" if digits <= 5 else f"{value:.0e}"
    return text.lstrip("-") if float(text) == 0 else text


def data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
