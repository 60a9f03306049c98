"""Roles of example scans: by hand on a table of six subjects, and against a slow search on drawn ones."""

from __future__ import annotations

import math
from statistics import fmean, median
from typing import Any

import numpy as np
import pytest

from fake_tables import map_tables, shapley_tables
from layer_fast.quantify import Settings, analyse, cells, split_at
from layer_fast.quantify.beside_tables import scans_by_id
from layer_fast.quantify.claim.top import top_layer
from layer_fast.quantify.examples import choose_examples
from layer_fast.types import LAYERS

TARGETS = {"margin:case-control": ("case", "control")}
Rows = list[dict[str, Any]]


def vector(background: float, *layers: float) -> list[float]:
    return [background, *layers, *[0.0] * (6 - len(layers))]


def by_hand() -> tuple[Rows, Rows]:
    """Cases p000, p002, p004, controls p001, p003, p005; the margin is the sum of the values. p000 has two scans."""
    phi = [
        np.array([vector(0.0, 1.0), vector(0.0, 3.0)]),  # case, mean 2 in dermis
        np.array([vector(-4.0, 1.0)]),  # control, margin -3
        np.array([vector(0.0, 4.0, 3.0)]),  # case, margin 7
        np.array([vector(1.0, 1.0, 0.5)]),  # control, margin +2.5: wrong
        np.array([vector(-20.0, 9.0, 4.0)]),  # case, margin -7: wrong
        np.array([vector(-2.0, 0.5)]),  # control, margin -1.5
    ]
    return shapley_tables(phi, np.array([True, False] * 3))  # type: ignore[arg-type]


def roles(found: dict[str, Any], setup: str = "bmode") -> dict[tuple[str, str], Any]:
    (entry,) = (e for e in found["setups"] if e["setup"] == setup)
    return {(r["role"], r["side"]): r for r in entry["roles"]}


def test_roles_by_hand() -> None:
    """Median of the case subjects' means (2, 4, 9) is 4 in dermis and of (0, 3, 4) is 3 in superficial fat: p002-0 is
    there. Over scans it would be (3.5, 1.5). Controls: median of (1, 1, 0.5) is 1, of (0, 0.5, 0) is 0."""
    found = choose_examples(*by_hand(), targets=TARGETS)
    got = {key: (r["scan_id"], r["number"]["name"], r["number"]["value"]) for key, r in roles(found).items()}
    assert got == {
        ("typical", "positive"): ("p002-0", "distance", 0.0),
        ("extreme", "positive"): ("p004-0", "value", 9.0),
        ("wrong", "positive"): ("p004-0", "margin", -7.0),
        ("typical", "negative"): ("p001-0", "distance", 0.0),
        ("wrong", "negative"): ("p003-0", "margin", 2.5),
    }
    entry = found["setups"][0]
    assert (entry["top_layer"], entry["top_by"]) == ("dermis", "class contrast D")
    assert entry["top_number"] == pytest.approx((2 + 4 + 9) / 3 - 2.5 / 3)
    assert [scan["scan_id"] for scan in found["scans"]] == ["p002-0", "p004-0", "p001-0", "p003-0"], "each once"
    said = found["scans"][1]["setups"]["bmode"]
    assert (said["true"], said["predicted"], said["right"], said["margin"]) == ("case", "control", False, -7.0)
    assert said["layers"]["superficial_fat"] == 4.0
    why = roles(found)["typical", "positive"]["why"]
    assert why == "nearest to the median of case (3 subjects): distance 0 logits over 6 layers"
    assert "9 logits" in roles(found)["extreme", "positive"]["why"]
    assert "1 misclassified among 4 scans of case" in roles(found)["wrong", "positive"]["why"]


def test_of_equal_scans_the_first_name() -> None:
    same = np.array([vector(-1.0, 2.0)] * 3)
    layers, scans = shapley_tables([same, -same], np.array([True, False]))  # type: ignore[arg-type]
    found = roles(choose_examples(list(reversed(layers)), list(reversed(scans)), targets=TARGETS))
    assert found["typical", "positive"]["scan_id"] == found["extreme", "positive"]["scan_id"] == "p000-0"
    assert found["typical", "negative"]["scan_id"] == "p001-0"
    assert found["wrong", "positive"]["scan_id"] is None
    assert found["wrong", "negative"]["why"] == "no scan of control is misclassified"


def test_layers_that_most_subjects_lack_are_not_compared_and_others_are_needed() -> None:
    """Deep fat is absent in three of four cases, dermis in one: that one is not typical, however near it is."""
    n = math.nan
    rows = [[0, 1, 1, 1, n, 1, 1], [0, 2, 1, 1, n, 1, 1], [0, 9, 1, 1, n, 1, 1], [0, n, 1, 1, 5, 1, 1]]
    layers, scans = shapley_tables(np.array(rows, float)[:, None], np.array([True] * 4))
    found = choose_examples(layers, scans, targets=TARGETS)
    typical = roles(found)["typical", "positive"]
    assert (typical["scan_id"], typical["candidates"], typical["number"]["value"]) == ("p001-0", 3, 0.0)
    assert "5 layers" in typical["why"]
    assert "deep_fat" not in found["setups"][0]["medians"]["positive"]["compared"]
    assert math.isnan(found["scans"][0]["setups"]["bmode"]["layers"]["deep_fat"]), "absent is no value, not 0"


def slow_roles(values: np.ndarray, case: list[bool]) -> dict[tuple[str, str], str | None]:
    """values (subjects, scans, 7); the sum of a scan's values that are there is its margin. Plain loops."""
    out: dict[tuple[str, str], str | None] = {}
    means = [[fmean(c) if (c := [x for x in block[:, k] if x == x]) else math.nan for k in range(1, 7)]
             for block in values]  # fmt: skip
    for side, is_case in (("positive", True), ("negative", False)):
        own = [m for m, c in zip(means, case, strict=True) if c == is_case]
        columns = [[m[k] for m in own if m[k] == m[k]] for k in range(6)]
        kept = [k for k in range(6) if columns[k] and 2 * len(columns[k]) >= len(own)]
        best: list[tuple[float, str]] = []
        worst: list[tuple[float, str]] = []
        for s, block in enumerate(values):
            for j, row in enumerate(block):
                if case[s] != is_case:
                    continue
                margin = sum(x for x in row if x == x) * (1 if is_case else -1)
                if margin > 0 and all(row[1 + k] == row[1 + k] for k in kept):
                    best.append((math.dist([row[1 + k] for k in kept], [median(columns[k]) for k in kept]),
                                 f"p{s:03d}-{j}"))  # fmt: skip
                if margin < 0:
                    worst.append((margin, f"p{s:03d}-{j}"))
        out["typical", side] = min(best)[1] if best else None
        out["wrong", side] = min(worst)[1] if worst else None
    sides = [[[m[k] for m, c in zip(means, case, strict=True) if c == which and m[k] == m[k]] for k in range(6)]
             for which in (True, False)]  # fmt: skip
    contrast = [fmean(a) - fmean(b) if a and b else -math.inf for a, b in zip(*sides, strict=True)]
    top = contrast.index(max(contrast))
    able = [(-row[1 + top], f"p{s:03d}-{j}") for s, block in enumerate(values) if case[s]
            for j, row in enumerate(block) if row[1 + top] == row[1 + top]]  # fmt: skip
    out["extreme", "positive"] = min(able)[1]
    return out


@pytest.mark.parametrize("seed", range(20))
def test_against_a_slow_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (9, 3, 7))
    values[:, :, 1:][rng.random((9, 3, 6)) < 0.15] = np.nan
    values[rng.random(9) < 0.4, :, 1 + seed % 6] = np.nan
    case = [True] * 5 + [False] * 4
    layers, scans = shapley_tables(values, np.array(case))
    found = {k: r["scan_id"] for k, r in roles(choose_examples(layers, scans, targets=TARGETS)).items()}
    assert found == slow_roles(values, case)


@pytest.mark.parametrize("seed", range(5))
def test_the_top_layer_is_that_of_the_claims(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers, scans = shapley_tables(rng.normal(0, 1, (10, 2, 7)), np.arange(10) % 2 == 0)
    scans[0]["label"] = "control"  # p000 is of both classes, so of neither mean
    stats = analyse(cells(layers)[0], scans_by_id(scans), Settings(replicates=99))
    k = top_layer(stats)
    assert k is not None
    entry = choose_examples(layers, scans, targets=TARGETS)["setups"][0]
    assert entry["top_layer"] == LAYERS[k - 1]
    assert entry["top_number"] == pytest.approx(stats.contrast.estimate[k], rel=1e-12)


def test_members_are_averaged_and_other_fills_and_channels_are_not_read() -> None:
    layers, scans = by_hand()
    second = [{**r, "member": "1", "value": r["value"] + 2.0} for r in layers]
    noise = [{**r, "fill": "constant", "value": -r["value"]} for r in layers]
    found = choose_examples(layers + second + noise, scans, targets=TARGETS)
    assert found["scans"][0]["setups"]["bmode"]["layers"]["dermis"] == 5.0
    channel = [{**r, "value": r["value"] + 2.0, "channel": "swe"} for r in layers]
    assert choose_examples(layers + channel, scans, targets=TARGETS) == choose_examples(layers, scans, targets=TARGETS)


def test_without_shapley_values_the_shares_of_the_map() -> None:
    layers, scans = by_hand()
    case = np.array([True, False] * 3)
    heat = np.ones((6, 1, 7))
    heat[2, 0, 4] = 50.0
    scans = [row for row in scans if row["scan_id"].endswith("-0")]
    found = choose_examples(map_tables(heat, case), scans, targets=TARGETS)
    entry = found["setups"][0]
    assert (entry["method"], entry["column"], entry["units"], entry["top_layer"]) == (
        "gradcam", "share_of_labelled", "share", "deep_fat"
    )  # fmt: skip
    assert roles(found)["extreme", "positive"]["scan_id"] == "p002-0"
    assert sum(found["scans"][0]["setups"]["bmode"]["layers"].values()) == pytest.approx(1.0)
    both = choose_examples(layers + map_tables(heat, case), scans, targets=TARGETS)["setups"][0]
    assert both["method"] == "layer_shapley"


def test_without_labels_the_whole_cohort_has_typical_and_extreme_scans() -> None:
    layers, scans = by_hand()
    found = choose_examples(layers, [{**row, "label": None} for row in scans], targets=TARGETS)
    got = {key: r["scan_id"] for key, r in roles(found).items()}
    # subject means in dermis 2, 1, 4, 1, 9, 0.5: median 1.5; in superficial fat 0, 0, 3, 0.5, 4, 0: median 0.25;
    # (1, 0) and (1, 0.5) are as near, and the first name of these is
    assert got == {("typical", "all"): "p000-0", ("extreme", "all"): "p004-0"}
    assert found["setups"][0]["top_by"] == "mean"
    assert found["scans"][0]["setups"]["bmode"]["true"] is None


def test_classes_of_a_threshold_and_against_the_rest() -> None:
    layers, scans = by_hand()
    for row, level in zip(scans, ["mild", "severe", "none", "mild", "none", "severe", "none"], strict=True):
        row["label"] = level
    target = {"margin:case-control": split_at(["none", "mild", "severe"], "mild")}
    found = choose_examples(layers, scans, targets=target)
    assert {r["class"] for r in roles(found).values()} == {">= mild", "< mild"}
    rest = choose_examples(layers, scans, targets={"margin:case-control": ("severe", None)})
    assert {r["class"] for r in roles(rest).values()} == {"severe", "not severe"}


def test_setups_of_different_classes_and_unusable_scans_are_left_out() -> None:
    layers, scans = by_hand()
    other = [{**r, "member": "1", "target": "margin:other-control"} for r in layers]
    both = {**TARGETS, "margin:other-control": ("other", "control")}
    assert choose_examples(layers + other, scans, targets=both) == {"setups": [], "scans": []}
    bad = [{**row, "status": "failed"} if row["scan_id"] == "p002-0" else row for row in scans]
    bad = [{**row, "margin_bmode": None} if row["scan_id"] == "p004-0" else row for row in bad]
    assert choose_examples(layers, bad, targets=TARGETS)["setups"][0]["n_scans"] == 5
    assert choose_examples([], scans, targets=TARGETS) == {"setups": [], "scans": []}
