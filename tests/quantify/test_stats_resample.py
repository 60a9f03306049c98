"""Resampling of many columns at once: against quantify.inference, SciPy and loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import tolerances
from layer_fast.quantify import difference_interval, mean_interval
from layer_fast.quantify.stats.resample import (
    Plan,
    counts,
    difference_of,
    differences,
    mean_of,
    means,
    patterns,
    resampled,
    sign_flip_p,
    totals,
)

PLAN = Plan(seed=3, replicates=399)
NEAR = tolerances.STATISTICS


class OneAfterTheOther:
    """The draws that `difference_of` takes for the two classes, in the order in which `difference_interval` asks."""

    def __init__(self, *draws: Any) -> None:
        self._draws = list(draws)

    def with_replacement(self, rows: int, n: int) -> np.ndarray:
        return self._draws.pop(0).with_replacement(rows, n)


def skewed(seed: int, n: int, columns: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.gamma(1.0, size=(n, columns)) * rng.uniform(0.5, 50.0, columns) + rng.normal(0, 1000, columns)


def test_totals_are_a_matrix_product() -> None:
    rng = np.random.default_rng(0)
    weights, x = rng.integers(0, 4, (601, 33)).astype(float), rng.normal(size=(33, 517))
    assert np.abs(totals(weights, x) - weights @ x).max() < 1e-12


def test_means_and_intervals_are_those_of_the_claims() -> None:
    x = skewed(1, 37, 300)
    mine, theirs = mean_of(x, PLAN), mean_interval(x, PLAN.draws("mean", 37), replicates=399)
    for one, other in zip(mine, theirs, strict=True):
        assert np.abs(one / other - 1.0).max() < NEAR
    shift, v = resampled(x, PLAN.draws("mean", 37), 399)
    index = PLAN.draws("mean", 37).with_replacement(399, 37)
    assert np.abs(shift + x.mean(axis=0) - x[index].mean(axis=1)).max() < NEAR * 1000
    assert np.abs(v / (x[index].var(axis=1, ddof=1) / 37) - 1.0).max() < NEAR


def test_class_differences_are_those_of_the_claims() -> None:
    case, control = skewed(2, 14, 40), skewed(3, 22, 40)
    mine = difference_of(case, control, PLAN)
    draws: Any = OneAfterTheOther(PLAN.draws("case", 14), PLAN.draws("control", 22))
    theirs = difference_interval(case, control, draws, replicates=399)
    for one, other in zip(mine, theirs, strict=True):
        assert np.abs(one / other - 1.0).max() < NEAR


def test_counts_draw_every_subject_alike() -> None:
    drawn = counts(PLAN.draws("mean", 11), 4000, 11)
    assert (drawn.sum(axis=1) == 11).all()
    assert stats.chisquare(drawn.sum(axis=0)).pvalue > 1e-3


def test_a_column_depends_on_its_own_subjects_only() -> None:
    x = skewed(4, 40, 6)
    x[:7, 1], x[30:, 2], x[:, 4] = np.nan, np.nan, np.nan
    whole, n = means(x, PLAN)
    assert n.tolist() == [40, 33, 30, 40, 0, 40]
    alone = mean_interval(x[7:, [1]], PLAN.draws("mean", 33), replicates=399)
    for one, other in zip(whole, alone, strict=True):
        assert one[1] == pytest.approx(other[0], rel=NEAR)
    assert np.isnan([part[4] for part in whole]).all()
    case = np.arange(40) % 2 == 0
    both = differences(x, case, PLAN)
    assert both.estimate[2] == pytest.approx(x[:30, 2][case[:30]].mean() - x[:30, 2][~case[:30]].mean(), rel=NEAR)
    found = [columns.tolist() for _, columns in patterns(x)]
    assert sorted(found) == [[0, 3, 5], [1], [2]]


def test_few_subjects_have_an_estimate_and_no_interval() -> None:
    x = skewed(5, 19, 3)
    got = mean_of(x, PLAN)
    assert np.isfinite(got.estimate).all() and np.isnan([got.low, got.high]).all()
    got = difference_of(skewed(5, 30, 3), skewed(6, 4, 3), PLAN)
    assert np.isfinite(got.estimate).all() and np.isnan([got.low, got.high]).all()


def test_a_constant_is_known_exactly() -> None:
    got = mean_of(np.full((25, 1), 0.1), PLAN)
    assert got.estimate[0] == got.low[0] == got.high[0] == 0.1 and got.se[0] == 0.0


def test_sign_flips_of_few_subjects_are_enumerated_as_scipy_does() -> None:
    x = np.random.default_rng(7).normal(0.4, 1.0, (8, 12))
    for column, p in enumerate(sign_flip_p(x, PLAN)):
        theirs = stats.permutation_test(
            (x[:, column],), lambda d: abs(d.mean()), permutation_type="samples", alternative="greater", n_resamples=512
        )
        assert p == theirs.pvalue


def test_sign_flips_of_many_subjects_agree_with_scipy_as_draws_do() -> None:
    x = np.random.default_rng(8).normal(0.25, 1.0, (40, 3))
    for column, p in enumerate(sign_flip_p(x, Plan(replicates=19999))):
        theirs = stats.permutation_test(
            (x[:, column],), lambda d, axis: d.mean(axis=axis), permutation_type="samples", n_resamples=19999, rng=1,
        )  # fmt: skip
        assert p == pytest.approx(theirs.pvalue, abs=0.012)
    assert np.isnan(sign_flip_p(x[:4], PLAN)).all()


def test_sign_flips_hold_their_level() -> None:
    x = np.random.default_rng(9).normal(size=(30, 1000))
    rejected = int((sign_flip_p(x, PLAN) <= 0.05).sum())
    assert stats.binomtest(rejected, 1000, 0.05).pvalue > 1e-3
