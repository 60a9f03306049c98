"""Thresholds of ordered classes: who is case and control, and the rank correlation with the level."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fake_tables import draw_phi, shapley_tables
from layer_fast.quantify import Levels, rank_correlation, split_at, summary
from layer_fast.quantify.draws import Draws
from layer_fast.quantify.ordinal import level_numbers, members, order_of

LEVELS = ("none", "mild", "moderate", "severe")


def test_a_threshold_splits_the_levels() -> None:
    at, below = split_at(LEVELS, "moderate")
    assert (at, below) == (">= moderate", "< moderate")
    assert (at.labels, below.labels) == (("moderate", "severe"), ("none", "mild"))
    assert order_of(at, below) == LEVELS
    assert order_of("case", None) is None
    assert members("case") == ("case",)
    assert isinstance(at, Levels)
    for wrong in ("none", "worst"):
        with pytest.raises(ValueError, match="above the lowest of none, mild"):
            split_at(LEVELS, wrong)


def test_level_numbers_of_labels() -> None:
    labels = [{"severe"}, {"none"}, {"mild", "none"}, {None}, {"other"}]
    assert level_numbers(labels, LEVELS).tolist() == [3, 0, -1, -1, -1]


@pytest.mark.parametrize("tied", [False, True])
def test_coefficients_and_percentiles_agree_with_scipy(tied: bool) -> None:
    rng = np.random.default_rng(5)
    level = rng.integers(0, 4, 40)
    score = level + rng.normal(0, 1.5, 40)
    score = np.round(score) if tied else score
    out = rank_correlation(score, level, Draws(0, "here"), replicates=199)
    index = Draws(0, "here").with_replacement(199, 40)
    for name, of in (("spearman", stats.spearmanr), ("kendall_tau_b", stats.kendalltau)):
        again = sorted(of(score[rows], level[rows]).statistic for rows in index)
        assert out[name]["estimate"] == pytest.approx(of(score, level).statistic, abs=1e-12)
        assert (out[name]["low"], out[name]["high"]) == pytest.approx((again[4], again[-5]), abs=1e-12)
    assert out["n_subjects"] == 40


def test_subjects_without_a_score_or_level_are_left_out() -> None:
    out = rank_correlation([1.0, np.nan, 2.0, 3.0, 9.0], [0, 1, 2, 1, -1], Draws(0, "x"), replicates=99)
    assert out["n_subjects"] == 3
    assert out["spearman"]["estimate"] == pytest.approx(0.5)


def test_nothing_to_order_is_no_number() -> None:
    flat = rank_correlation(np.arange(6.0), [1] * 6, Draws(0, "x"), replicates=99)
    assert np.isnan([flat["spearman"]["estimate"], flat["kendall_tau_b"]["low"]]).all()
    assert np.isnan(rank_correlation([], [], Draws(0, "x"), replicates=99)["spearman"]["estimate"])
    few = rank_correlation([1.0, 2.0], [0, 1], Draws(0, "x"), replicates=99, usable=False)
    assert few["spearman"]["estimate"] == 1.0
    assert np.isnan(few["spearman"]["low"])


def ordered_cohort() -> tuple[list[dict], list[dict], dict]:
    """40 subjects, half of them cases; the target is a threshold of two levels."""
    phi, case = draw_phi(np.random.default_rng(0), subjects=40, effect={4: 2.0})
    at, below = split_at(("control", "case"), "case")
    return *shapley_tables(phi, case), {"margin:case-control": (at, below)}


def test_no_level_is_on_both_sides() -> None:
    layers, scans, targets = ordered_cohort()
    ((at, _),) = targets.values()
    for negative in ("< case", None):  # None: every other label
        pair = (at, None if negative is None else split_at(("control", "case"), "case")[1])
        cell = summary(layers, scans, targets={"margin:case-control": pair}, replicates=99)["cells"][0]
        assert (cell["n_case"], cell["n_control"]) == (20, 20)


def test_subjects_without_a_margin_do_not_make_an_interval() -> None:
    layers, scans, targets = ordered_cohort()
    whole = summary(layers, scans, targets=targets, replicates=99)["cells"][0]["rank_correlation"]["spearman"]
    assert whole["low"] < whole["estimate"] < whole["high"]
    few = [{**row, "margin": None} if row["subject"] > "p017" else row for row in layers]
    found = summary(few, scans, targets=targets, replicates=99)["cells"][0]["rank_correlation"]
    assert found["n_subjects"] == 18 and found["spearman"]["estimate"] is not None
    assert found["spearman"]["low"] is None
