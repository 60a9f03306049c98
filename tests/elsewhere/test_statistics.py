"""Every statistic on small maps whose answer is worked out by hand."""

from __future__ import annotations

from math import nan, sqrt
from typing import Any

import numpy as np
import pytest
from map_lines import numbers, table

import tolerances

SUM = tolerances.FLOAT64_SUM
#        background  a        b                 (c is absent)
LABELS = [0, 0, 1, 1, 1, 2, 2, 2, 2, 2]
VALUES = [1, 0, 4, 2, 3, 0, 0, 5, 1, 4]  # sums 1, 9, 10 of 20; labelled 19
ALL, LABELLED = {"total": "all"}, {"total": "labelled"}


@pytest.mark.parametrize(
    ("statistic", "background", "a", "b", "c"),
    [
        ("sum", 1, 9, 10, 0),
        ("mean", 0.5, 3, 2, nan),
        ({"name": "part_of_total_mean"}, 0.1, 0.9, 1.0, nan),
        ({"name": "part_of_total_mean", **LABELLED}, nan, 9 / 8, 10 / 8, nan),
        ("share", 1 / 20, 9 / 20, 10 / 20, nan),
        ({"name": "share", **LABELLED}, nan, 9 / 19, 10 / 19, nan),
        ("energy_pointing_game", 1 / 20, 9 / 20, 10 / 20, nan),
        ("inside_total_ratio", 1 / 20, 9 / 20, 10 / 20, nan),
        ({"name": "inside_total_ratio", "weighted": True}, 1 / 20 * 5, 9 / 20 * 10 / 3, 10 / 20 * 2, nan),
        ("enrichment", 0.25, 1.5, 1.0, nan),
        ({"name": "enrichment", **LABELLED}, nan, 3 * 8 / 19, 2 * 8 / 19, nan),
        # in descending order: 5 b, 4 a, 4 b, 3 a, 2 a, 1 b, 1 background, 0 background, 0 b, 0 b
        ("rank_overlap", 0, 1 / 3, 2 / 5, nan),
        ({"name": "rank_overlap", **LABELLED}, nan, 1 / 3, 2 / 5, nan),
        ("rank_accuracy", 0, 1 / 3, 2 / 5, nan),
        ({"name": "top_k_intersection", "k": 4}, 0, 0.5, 0.5, nan),
        ({"name": "top_k_intersection", "k": 2}, 0, 0.5 / 2, 1.5 / 2, nan),
        ({"name": "top_k_intersection", "fraction": 0.35}, 0, 0.5, 0.5, nan),  # floor(3.5 + 1/2) = 4
        ({"name": "top_k_intersection", "fraction": 0.01}, 0, 0, 1, nan),  # at least one
        ({"name": "concept_influence", "k": 2}, 0, 0.25 * 10 / 3, 0.75 * 2, nan),
        ({"name": "concept_influence", "k": 2, **LABELLED}, nan, 0.25 * 8 / 3, 0.75 * 8 / 5, nan),
        ("pointing_game", 0, 0, 1, nan),
        ({"name": "pointing_game", "weighted": True}, 0, 0, 0.5, nan),
        ("variance", 0.25, 2 / 3, (4 + 4 + 9 + 1 + 4) / 5, nan),
        ("std", 0.5, sqrt(2 / 3), sqrt(22 / 5), nan),
        ("min", 0, 2, 0, nan),
        ("max", 1, 4, 5, nan),
        ("median", 0.5, 3, 1, nan),
        ({"name": "quantile", "q": 0.25}, 0.25, 2.5, 0, nan),
        ({"name": "quantile", "q": 1.0}, 1, 4, 5, nan),
    ],
)
def test_closed_forms(statistic: Any, background: float, a: float, b: float, c: float) -> None:
    found = numbers(VALUES, LABELS, statistic)
    expected = {"background": background, "a": a, "b": b, "c": c}
    assert found == pytest.approx(expected, abs=SUM, nan_ok=True)


def test_effective_heat_ratio() -> None:
    """Eleven lit values 2/16 .. 12/16: the quantiles are the values, but the last, which 0.99 of the maximum caps."""
    values = [0.05, *(i / 16 for i in range(2, 13))]
    labels = [0, *[1] * 8, *[2] * 3]
    of_b = [3 / (11 - i) for i in range(9)] + [1, 1]
    heat = np.arange(2, 13) / 16
    weighted = [heat[8:].sum() / (11 - i) for i in range(9)] + [heat[9:].mean(), heat[10]]
    for flag, ratios in ((False, of_b), (True, weighted)):
        area = 0.1 * (sum(ratios) - (ratios[0] + ratios[-1]) / 2)
        found = numbers(values, labels, {"name": "effective_heat_ratio", "weighted": flag})
        assert found["b"] == pytest.approx(area, abs=SUM)
        assert found["background"] == 0.0
    assert numbers(values, labels, {"name": "effective_heat_ratio", "base_threshold": 0.8})["b"] != found["b"]
    assert np.isnan(numbers(values, labels, {"name": "effective_heat_ratio", "base_threshold": 0.8})["b"])


def test_intersection_over_attention() -> None:
    values, labels = [0, 0.125, 0.25, 0.75, 0.875, 1.0], [1, 1, 2, 2, 1, 0]  # Otsu parts 0.25 from 0.75
    plain = numbers(values, labels, "intersection_over_attention")
    assert plain == pytest.approx({"background": 1 / 3, "a": 1 / 3, "b": 1 / 3, "c": nan}, nan_ok=True)
    weighted = numbers(values, labels, {"name": "intersection_over_attention", "weighted": True})
    assert weighted["b"] == pytest.approx(0.75 / 2.625, abs=SUM)
    assert numbers([-v for v in values], labels, "intersection_over_attention")["a"] == pytest.approx(2 / 3)


def test_otsu_is_scikit_images() -> None:
    filters = pytest.importorskip("skimage.filters")
    from layer_fast.elsewhere.attention import otsu_threshold

    for seed in range(20):
        rng = np.random.default_rng(seed)
        t = np.concatenate([rng.normal(0, 1, 300), rng.normal(rng.uniform(1, 5), 1, rng.integers(20, 500))])
        assert otsu_threshold(t) == pytest.approx(filters.threshold_otsu(t), abs=SUM)


def test_auc_iou() -> None:
    found = numbers([1, 0.5, 0, 0], [1, 1, 2, 2], "auc_iou")
    assert found["a"] == pytest.approx(0.5 * 1 + 0.5 * 0.5)  # {both} up to 0.5, then one of two
    assert found["b"] == 0.0
    found = numbers([0.75, 0.5, 0.5, 0.25], [1, 1, 2, 2], "auc_iou")  # nothing is lit above 0.75
    assert found["a"] == pytest.approx(0.25 * 2 / 4 + 0.25 * 2 / 3 + 0.25 * 1 / 2)
    assert found["b"] == pytest.approx(0.25 * 2 / 4 + 0.25 * 1 / 4)
    labelled = numbers([0.75, 0.5, 0.5, 1], [1, 1, 2, 0], {"name": "auc_iou", "total": "labelled"})
    assert labelled["a"] == pytest.approx(0.5 * 2 / 3 + 0.25 * 1 / 2)
    assert np.isnan(labelled["background"])


def test_ties_are_counted_as_expected_or_refused() -> None:
    values, labels = [4, 4, 1, 1], [1, 2, 2, 3]
    rows = table(values, labels, "rank_overlap")
    assert rows["a"]["value"] == 0.5
    assert rows["b"]["value"] == 0.5
    assert rows["c"]["value"] == 0.0
    assert [rows[name]["flags"].split(";")[-1] for name in "abc"] == ["ties_at_threshold", "low_n", "low_n"]
    strict = table(values, labels, "rank_accuracy")
    assert np.isnan(strict["a"]["value"]), "an order that nobody chose would decide"
    assert (strict["b"]["value"], strict["c"]["value"]) == (0.5, 0.0)
    assert numbers(values, labels, "pointing_game") == pytest.approx({"background": nan, "a": 0.5, "b": 0.5, "c": 0},
                                                                     nan_ok=True)  # fmt: skip


def test_rank_overlap_of_a_rectified_map_is_chance_in_its_zeros() -> None:
    """A ReLU leaves zeros that tie: with more voxels in the layer than lit ones, the rest is a draw."""
    values = [0] * 90 + [1] * 10
    labels = [1] * 50 + [2] * 50
    assert numbers(values, labels, "rank_overlap")["a"] == pytest.approx(40 * 50 / 90 / 50)
    assert numbers(values, labels, "rank_overlap")["b"] == pytest.approx((10 + 40 * 40 / 90) / 50)


@pytest.mark.parametrize(
    ("statistic", "cap", "chance"),
    [
        ("enrichment", {"a": 10 / 3, "b": 2.0}, 1.0),
        ({"name": "enrichment", **LABELLED}, {"a": 8 / 3, "b": 8 / 5}, 1.0),
        ({"name": "inside_total_ratio", "weighted": True}, {"a": 10 / 3, "b": 2.0}, 1.0),
        ({"name": "concept_influence", "k": 4}, {"a": 10 / 4, "b": 2.0}, 1.0),
        ({"name": "top_k_intersection", "k": 4}, {"a": 3 / 4, "b": 1.0}, None),
        ({"name": "pointing_game", "weighted": True}, {"a": 0.7, "b": 0.5}, None),
    ],
)
def test_caps_are_reached_by_a_map_that_lies_in_one_layer(statistic: Any, cap: Any, chance: float | None) -> None:
    for k, name in ((1, "a"), (2, "b")):
        rows = table([float(label == k) * (1 + i / 100) for i, label in enumerate(LABELS)], LABELS, statistic)
        assert rows[name]["cap"] == pytest.approx(cap[name])
        assert rows[name]["value"] == pytest.approx(cap[name])
        assert chance is None or rows[name]["chance"] == chance
        assert rows[name]["across_layers"]


def test_absent_layers_keep_their_rows() -> None:
    for statistic in ("sum", "mean", "share", "enrichment", "std", "median", "rank_overlap", "pointing_game"):
        row = table(VALUES, LABELS, statistic)["c"]
        assert (row["present"], row["n_voxels"], row["weight"]) == (False, 0, 0.0)
        assert row["value"] == (0.0 if statistic == "sum" else pytest.approx(nan, nan_ok=True))
        assert row["cap"] is row["chance"] is None


def test_one_voxel_has_no_spread() -> None:
    row = table([0.1, 0.7, 0.3], [0, 1, 0], "std")["a"]
    assert row["value"] == 0.0
    assert "low_n" in row["flags"]


def test_an_all_zero_map_is_flagged_and_has_no_shares() -> None:
    zeros = np.zeros(10)
    for name in ("share", "enrichment", "energy_pointing_game", "effective_heat_ratio", "intersection_over_attention"):
        rows = table(zeros, LABELS, name)
        assert all(np.isnan(row["value"]) for row in rows.values()), name
        assert all("map_all_zero" in row["flags"].split(";") for row in rows.values())
    assert numbers(zeros, LABELS, "mean")["a"] == 0.0
    assert numbers(zeros, LABELS, "std")["a"] == 0.0
    assert numbers(zeros, LABELS, "rank_overlap")["a"] == pytest.approx(3 / 10), "every order is as good: chance"
    assert "map_constant" in table(zeros + 2, LABELS, "mean")["a"]["flags"].split(";")
    rows = table([-1, -2, -3], [0, 1, 2], "share", sign="positive")
    assert "transformed_all_zero" in rows["a"]["flags"].split(";")
    assert np.isnan(rows["a"]["value"])


def test_a_mask_without_layers_has_no_labelled_total() -> None:
    rows = table(VALUES, np.zeros(10), {"name": "share", **LABELLED})
    assert all(np.isnan(row["value"]) for row in rows.values())
