"""Figures: pixels follow the values."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from layer_fast.report.figures import BIN, HEIGHT, PAD, Scale, area, bins, dots, mark, scale_of


def part(estimate: float | None, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"estimate": estimate, "low": low, "high": high}


def test_a_scale_holds_every_interval_and_the_origin() -> None:
    scale = scale_of([part(2.0, 1.0, 4.0), part(-1.0), part(None)], width=120)
    assert (scale.low, scale.high) == (-1.0, 4.0)
    assert scale.x(-1.0) == PAD
    assert scale.x(4.0) == 120 - PAD
    assert scale.x(1.5) == 60.0
    assert scale.x(99.0) == scale.x(4.0)


def test_bars_start_at_the_origin_and_intervals_are_lines() -> None:
    scale = Scale(-1.0, 1.0, 0.0, 220)
    found = mark(part(-0.5, -0.75, 0.25), scale, "#123456")
    assert (found["left"], found["size"], found["origin"], found["point"]) == (60.0, 50.0, 110.0, 60.0)
    assert found["line"].startswith(f"M35.0 {HEIGHT // 2}H135.0M")
    assert found["text"] == "-0.500 [-0.750, 0.250]"
    assert mark(part(0.5), scale, "#123456")["line"] == ""
    assert mark(part(None), scale, "#123456")["point"] is None


@pytest.mark.parametrize("high", [1e-9, 0.037, 1.0, 7.3, 250.0, 3e6])
def test_ticks_are_round_few_and_hold_the_origin(high: float) -> None:
    ticks = Scale(-high / 3, high, 0.0).ticks()
    assert 2 <= len(ticks) <= 7
    assert any(math.isclose(float(t["text"]), 0, abs_tol=1e-12) for t in ticks)
    pixels = [t["x"] for t in ticks]
    assert pixels == sorted(pixels)
    assert len({t["text"] for t in ticks}) == len(ticks)


def test_without_any_value_there_is_still_a_scale() -> None:
    assert scale_of([part(None)]).ticks()


def test_dots_are_in_the_order_of_values() -> None:
    assert dots([2.0, 0.0, 1.0], Scale(0.0, 2.0, 0.0, 120), 10).split("M")[1:] == [
        "10.0 6.5h0",
        "60.0 10h0",
        "110.0 13.5h0",
    ]


@pytest.mark.parametrize(("low", "high"), [(-0.08, 0.44), (0.0, 0.52), (-0.46, 0.49), (-3.9, 0.4), (0.0, 2e-7)])
def test_a_narrow_figure_has_two_ticks_that_do_not_overlap(low: float, high: float) -> None:
    ticks = Scale(low, high, 0.0, 96).ticks()
    assert len(ticks) >= 2 and any(float(t["text"]) == 0 for t in ticks)
    pixels = [t["x"] for t in ticks]
    assert min(b - a for a, b in pairwise(pixels)) >= 18


def test_a_histogram_counts_every_value_once() -> None:
    scale = Scale(0.0, 10.0, 0.0, 2 * PAD + 10 * BIN)  # a bin is one unit wide
    counts = bins([0.0, 0.5, 1.0, 9.5, 10.0, 10.0], scale)
    assert counts == [2, 1, 0, 0, 0, 0, 0, 0, 0, 3]


def test_a_histogram_stands_on_its_base() -> None:
    up, down = area([0, 2, 1], 20, 16, 4), area([0, 2, 1], 20, -16, 4)
    assert up == f"M{PAD} 20V20h{BIN}V12h{BIN}V16h{BIN}V20Z"
    assert down == f"M{PAD} 20V20h{BIN}V28h{BIN}V24h{BIN}V20Z"
