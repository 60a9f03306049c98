"""Every step in front of a statistic, on maps that are worked out by hand; erosion by all pairs of voxels."""

from __future__ import annotations

from math import nan, sqrt
from typing import Any

import numpy as np
import pytest
from map_lines import numbers, table
from scipy import ndimage

import tolerances
from layer_fast import quantify_map
from layer_fast.elsewhere.erode import kept_voxels
from layer_fast.errors import ConfigError

SUM = tolerances.FLOAT64_SUM
LABELS = [0, 0, 1, 1, 2, 2]
SIGNED = [-2, 6, -3, 1, 2, 4]
# two slices along z, two labelled voxels and a background one in each
SLICES = np.array([[[0, 1, 4]], [[10, 30, 20]]])
OF_SLICES = np.array([[[1, 2, 0]], [[1, 2, 0]]])


@pytest.mark.parametrize(
    ("sign", "a", "b"), [("none", -2, 6), ("positive", 1, 6), ("negative", 3, 0), ("absolute", 4, 6)]
)
def test_signs(sign: str, a: float, b: float) -> None:
    found = numbers(SIGNED, LABELS, "sum", sign=sign)
    assert (found["a"], found["b"]) == (a, b)


def test_inversion_comes_before_the_sign() -> None:
    assert numbers(SIGNED, LABELS, "sum", invert="negate", sign="positive")["a"] == 3
    found = numbers([0, 1, 0.25, 0.5, 1, 1], LABELS, "sum", invert="one_minus")
    assert (found["a"], found["b"]) == (1.25, 0.0)
    scaled = numbers([0, 4, 1, 2, 4, 4], LABELS, "mean", invert="negate", normalise={"kind": "min_max"})
    assert scaled["a"] == 1 - 1.5 / 4, "a min-max of the map turned over is one minus that of the map"
    with pytest.raises(ConfigError, match=r"'it'.*expects a map in 0..1, found -3 to 6"):
        numbers(SIGNED, LABELS, "sum", invert="one_minus")


@pytest.mark.parametrize(
    ("clip", "sums"),
    [
        ({"percentiles": [0, 60]}, (-2, 4)),  # 60th of -3 -2 1 2 4 6: 2, at index 3
        ({"percentiles": [20, 100]}, (-1, 6)),  # 20th: -2
        ({"percentiles": [0, 50], "voxels": "labelled"}, (-2, 3)),  # median of -3 1 2 4: 1.5
        ({"percentiles": [0, 100]}, (-2, 6)),
    ],
)
def test_clipping(clip: dict[str, Any], sums: tuple[float, float]) -> None:
    found = numbers(SIGNED, LABELS, "sum", clip={**clip, "percentiles": [float(p) for p in clip["percentiles"]]})
    assert (found["a"], found["b"]) == pytest.approx(sums, abs=SUM)


@pytest.mark.parametrize(
    ("normalise", "a", "b"),
    [
        ({"kind": "min_max"}, 5 / 30, 15.5 / 30),
        ({"kind": "min_max", "voxels": "labelled"}, 5 / 30, 15.5 / 30),
        ({"kind": "max"}, 5 / 30, 15.5 / 30),
        ({"kind": "sum"}, 5 / 65, 15.5 / 65),
        ({"kind": "sum", "voxels": "labelled"}, 5 / 41, 15.5 / 41),
        ({"kind": "min_max", "scope": "slice", "axis": "z"}, 0, (1 / 4 + 1) / 2),
        ({"kind": "min_max", "scope": "slice", "axis": "z", "voxels": "labelled"}, 0, 1),
        ({"kind": "max", "scope": "slice", "axis": "z"}, (0 + 1 / 3) / 2, (1 / 4 + 1) / 2),
        ({"kind": "min_max", "scope": "slice", "axis": "x"}, 0.5, 0.5),
        ({"kind": "min_max", "scope": "slice", "axis": "y"}, 5 / 30, 15.5 / 30),
        # ranks of 0 1 4 10 20 30: 1/12, 3/12, 5/12, 7/12, 9/12, 11/12
        ({"kind": "rank"}, (1 + 7) / 24, (3 + 11) / 24),
        ({"kind": "rank", "voxels": "labelled"}, (1 + 5) / 16, (3 + 7) / 16),
        ({"kind": "rank", "scope": "slice", "axis": "z"}, (1 + 1) / 12, (3 + 5) / 12),
    ],
)
def test_normalisation(normalise: dict[str, Any], a: float, b: float) -> None:
    found = numbers(SLICES, OF_SLICES, "mean", normalise=normalise)
    assert (found["a"], found["b"]) == pytest.approx((a, b), abs=SUM)


def test_z_score() -> None:
    found = numbers([1, 3, 5, 7], [1, 1, 2, 2], "mean", normalise={"kind": "z_score"})
    assert (found["a"], found["b"]) == pytest.approx((-2 / sqrt(5), 2 / sqrt(5)), abs=SUM)
    found = numbers([1, 3, 5, 7], [1, 1, 0, 0], "mean", normalise={"kind": "z_score", "voxels": "labelled"})
    assert (found["a"], found["background"]) == pytest.approx((0.0, 4.0), abs=SUM)


def test_ranks_of_ties_are_their_middle() -> None:
    assert numbers([5, 5, 5, 7], [1, 1, 2, 2], "mean", normalise={"kind": "rank"})["a"] == 3 / 8


def test_equal_sums_do_not_tell_what_slices_would() -> None:
    """Why slice scope needs slices: the same sums per volume, other means after a min-max of every slice."""
    labels = np.array([[[1, 0]], [[1, 0]]])
    means = [numbers(v, labels, "mean", normalise={"kind": "min_max", "scope": "slice", "axis": "z"})["a"]
             for v in ([[[1, 2]], [[3, 4]]], [[[1, 0]], [[3, 4]]])]  # fmt: skip
    assert means == [0.0, 0.5]


@pytest.mark.parametrize(
    ("values", "kind"),
    [([3, 3, 3], "min_max"), ([3, 3, 3], "z_score"), ([-1, -2, -3], "max"), ([-1, 0, 1], "sum"), ([0, 0, 0], "max")],
)
def test_what_nothing_can_normalise_is_nan_and_flagged(values: list[float], kind: str) -> None:
    rows = table(values, [0, 1, 2], "mean", normalise={"kind": kind})
    assert all(np.isnan(row["value"]) and "no_normaliser" in row["flags"].split(";") for row in
               (rows["a"], rows["b"], rows["background"]))  # fmt: skip


def test_a_slice_without_a_normaliser_reaches_only_the_layers_in_it() -> None:
    values = np.array([[[0, 0, 0]], [[1, 2, 3]]])
    labels = np.array([[[1, 1, 1]], [[1, 2, 2]]])
    normalise = {"kind": "min_max", "scope": "slice", "axis": "z"}
    rows = table(values, labels, "mean", normalise=normalise)
    assert np.isnan(rows["a"]["value"]), "never 0 in place of no value"
    assert rows["b"]["value"] == 0.75
    assert "slices_without_normaliser:1" in rows["b"]["flags"].split(";")
    for name in ("share", "part_of_total_mean", "rank_overlap", "auc_iou"):
        assert np.isnan(numbers(values, labels, name, normalise=normalise)["b"]), (
            "its total holds voxels without a value"
        )


def test_statistics_refuse_values_they_are_not_made_for() -> None:
    with pytest.raises(ConfigError, match=r"'it': share needs t >= 0, found values from -3 to 6 .* say sign"):
        numbers(SIGNED, LABELS, "share")
    with pytest.raises(ConfigError, match="0 <= t <= 1, found values from 0 to 6 after the transforms; say normalise"):
        numbers(SIGNED, LABELS, "auc_iou", sign="positive")
    with pytest.raises(ConfigError, match="t >= 0"):
        numbers(SIGNED, LABELS, {"name": "intersection_over_attention", "weighted": True})
    outside = [-1, 1, 2, 3, 4, 5]
    assert numbers(outside, LABELS, {"name": "share", "total": "labelled"})["a"] == 5 / 14, "it asks its own total"


def test_a_slice_without_values_hides_no_negative_ones() -> None:
    """The largest value of the first slice is not positive, so it has no values; the second has a negative one."""
    values, labels = np.array([[[-1, -2]], [[-3, 4]]]), np.array([[[1, 2]], [[1, 2]]])
    with pytest.raises(ConfigError, match=r"needs t >= 0, found values from -0.75 to 1"):
        numbers(values, labels, "share", normalise={"kind": "max", "scope": "slice", "axis": "z"})


def test_rows_say_their_units() -> None:
    for statistic, normalise, units in (
        ("mean", "none", "map"), ("variance", "none", "map^2"), ("share", "none", "1"), ("mean", "max", "1")
    ):  # fmt: skip
        rows = table([1, 2, 3], [0, 1, 2], statistic, normalise={"kind": normalise})
        assert rows["a"]["units"] == units


@pytest.mark.parametrize("seed", range(12))
def test_erosion_measures_every_pair_of_voxels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 14, 3))
    labels = ndimage.zoom(rng.integers(0, 4, (3, 3, 3)), np.array(shape) / 3, order=0).astype(np.uint8)
    spacing = tuple(float(s) for s in rng.choice([0.2, 0.5, 0.7, 1.0], 3))
    mm = float(rng.uniform(0.1, 2.5))
    kept = kept_voxels(labels, spacing, mm, range(4))
    for value in range(4):
        here = labels == value
        if here.all():
            assert kept.all(), "beyond the volume nothing is known"
            continue
        inside, outside = (np.argwhere(part) * np.array(spacing) for part in (here, ~here))
        nearest = [min(np.sqrt(((outside - voxel) ** 2).sum(axis=1))) for voxel in inside]
        assert np.array_equal(kept[here], np.array(nearest, float) > mm)


def test_a_mask_of_one_layer_has_no_rim() -> None:
    labels = np.ones((3, 4, 5), np.uint8)
    assert kept_voxels(labels, (0.5, 0.5, 0.5), 1.2, [1]).all()


def test_erosion_takes_rims_and_keeps_totals() -> None:
    labels = [0, 0, 1, 1, 1, 2, 2]
    values = [1, 1, 2, 3, 4, 5, 6]
    near = {"kind": "eroded", "mm": 0.3}
    rows = table(values, labels, "sum", mask=near, spacing_mm=(1, 1, 0.3))
    assert {n: r["value"] for n, r in rows.items()} == {"background": 1, "a": 3, "b": 6, "c": 0}
    shares = table(values, labels, {"name": "share", "total": "labelled"}, mask=near, spacing_mm=(1, 1, 0.3))
    assert shares["a"]["value"] == pytest.approx(3 / 20, abs=SUM)
    assert shares["b"]["value"] == pytest.approx(6 / 20, abs=SUM)
    assert numbers(values, labels, "sum", mask={"kind": "eroded", "mm": 0.29}, spacing_mm=(1, 1, 0.3))["a"] == 9
    gone = table(values, labels, "mean", mask={"kind": "eroded", "mm": 0.6}, spacing_mm=(1, 1, 0.3))
    assert [gone[n]["present"] for n in "abc"] == [False, False, False]
    assert [("eroded_away" in gone[n]["flags"].split(";")) for n in "abc"] == [True, True, False]
    overlap = {"name": "top_k_intersection", "k": 2, "total": "labelled"}
    assert numbers(values, labels, overlap, mask=near, spacing_mm=(1, 1, 0.3))["b"] == 0.5
    with pytest.raises(ConfigError, match="give spacing_mm"):
        numbers(values, labels, "sum", mask=near)


def test_soft_weights() -> None:
    weights = np.zeros((4, 1, 1, 3), np.float32)
    weights[0, 0, 0] = [0.5, 0, 0.25]
    weights[1, 0, 0] = [0.5, 0.25, 0]
    weights[2, 0, 0] = [0, 0.75, 0.75]
    values = np.array([2, 4, 8], np.float32)[None, None]
    expected = {
        "sum": (2, 9), "mean": (2 / 0.75, 6), "share": (2 / 14, 9 / 14),
        "enrichment": (2 / 0.75 / (14 / 3), 6 / (14 / 3)),
        "variance": ((0.5 * 4 + 0.25 * 16) / 0.75 - (2 / 0.75) ** 2, 4),
    }  # fmt: skip
    for name, (a, b) in expected.items():
        for sign in ("none", "positive"):  # one pass over the map, and voxel by voxel
            one = {"name": "it", "statistic": name, "mask": {"kind": "soft"}, "sign": sign, "groups": {}}
            rows = quantify_map(values, weights, definitions=one, layers=("a", "b", "c")).rows
            found = {row["region"]: row for row in rows}
            assert (found["a"]["value"], found["b"]["value"]) == pytest.approx((a, b), abs=SUM), name
            assert (found["a"]["n_voxels"], found["a"]["weight"]) == (2, 0.75)
            assert found["c"]["value"] == (0.0 if name == "sum" else pytest.approx(nan, nan_ok=True))


def test_one_pass_and_voxels_agree() -> None:
    """Plain definitions take their sums from layer_reduce, others from the transformed voxels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (5, 6, 7))
    s = rng.gamma(1, 1, labels.shape).astype(np.float32)
    for name in ("sum", "mean", "share", "enrichment", "min", "max", "std"):
        plain, absolute = (numbers(s, labels, name, sign=sign) for sign in ("none", "absolute"))
        assert plain == pytest.approx(absolute, rel=SUM)
