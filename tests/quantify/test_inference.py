"""Intervals, tests and AUC against SciPy, and their coverage and size in small simulations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

import tolerances
from layer_fast.quantify import difference_interval, holm, mean_interval, permutation_p, subject_auc
from layer_fast.quantify.draws import Draws
from layer_fast.quantify.inference import difference, tail_of

CLOSE = tolerances.STATISTICS


def test_contrast_and_its_error_equal_welch_of_scipy() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 2, (17, 11)), rng.normal(0, 1, (12, 11))
    estimate, se = difference(a, b)
    other = stats.ttest_ind(a, b, equal_var=False)
    np.testing.assert_allclose(estimate / se, other.statistic, rtol=CLOSE)
    a[3, 2] = np.nan  # a subject without the layer is left out of that layer only
    estimate, se = difference(a, b)
    other = stats.ttest_ind(a, b, equal_var=False, nan_policy="omit")
    np.testing.assert_allclose(estimate / se, other.statistic, rtol=CLOSE)


def test_permutation_p_is_exact_where_all_orders_can_be_listed() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(0.8, 1, (5, 1)), rng.normal(0, 1, (5, 1))

    def welch(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
        return stats.ttest_ind(x, y, equal_var=False, axis=axis).statistic

    exact = stats.permutation_test((a[:, 0], b[:, 0]), welch, alternative="greater", n_resamples=np.inf).pvalue
    drawn = permutation_p(a, b, Draws(0, "p"), replicates=20_000)[0]
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))


def test_interval_is_the_studentised_bootstrap() -> None:
    """The same draws, the textbook formula written out."""
    rng = np.random.default_rng(9)
    x = rng.gamma(1.0, 1.0, (25, 2))
    got = mean_interval(x, Draws(3, "m"), replicates=999)
    index = Draws(3, "m").with_replacement(999, 25)
    for column in range(2):
        y = x[:, column]
        t = np.sort((y[index].mean(axis=1) - y.mean()) / stats.sem(y[index], axis=1))
        expected = (y.mean() - t[974] * stats.sem(y), y.mean() - t[24] * stats.sem(y))
        np.testing.assert_allclose((got.low[column], got.high[column]), expected, rtol=CLOSE)


def test_few_subjects_have_an_estimate_but_no_interval() -> None:
    x = np.random.default_rng(0).normal(size=(19, 3))
    got = mean_interval(x, Draws(0), replicates=199)
    assert np.isfinite(got.estimate).all()
    assert np.isnan(got.low).all()
    assert np.isnan(got.high).all()
    assert np.isnan(difference_interval(x[:15], x[15:19], Draws(0), replicates=199).low).all()
    assert np.isnan(difference_interval(np.zeros((40, 1)), x[:4, :1], Draws(0), replicates=199).low).all()


def test_constants_do_not_make_numbers_up() -> None:
    zero = np.zeros((12, 1))
    got = difference_interval(zero, zero, Draws(0), replicates=199)
    assert (got.estimate[0], got.low[0], got.high[0]) == (0.0, 0.0, 0.0)
    assert permutation_p(zero, zero, Draws(0), replicates=199)[0] == 1.0
    one = np.concatenate([zero[:-1], [[1.0]]])  # 11 zeros and a one: resamples without the one have no spread
    assert np.isnan(difference_interval(one, zero, Draws(0), replicates=999).low[0])
    empty = difference_interval(np.full((12, 1), np.nan), zero, Draws(0), replicates=199)
    assert np.isnan([empty.estimate[0], empty.low[0]]).all()


def test_holm_against_the_rule_written_out() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005, np.nan, 0.9])
    np.testing.assert_allclose(holm(p), [0.05, 0.12, 0.12, 0.03, 1.0, 1.0], rtol=CLOSE)


def test_auc_equals_mann_whitney_and_newcombes_limits() -> None:
    rng = np.random.default_rng(1)
    a, b = np.round(rng.normal(0.7, 1, 14), 1), np.round(rng.normal(0, 1, 11), 1)
    got = subject_auc(a, b)
    assert got.auc == pytest.approx(stats.mannwhitneyu(a, b).statistic / (14 * 11), abs=CLOSE)
    extra = (14 + 11) / 2 - 1

    def gap(theta: float) -> float:
        v = theta * (1 - theta) * (1 + extra * (1 - theta) / (2 - theta) + extra * theta / (1 + theta)) / (14 * 11)
        return (got.auc - theta) ** 2 - stats.norm.ppf(0.95) ** 2 * v

    assert got.lower_limit == pytest.approx(optimize.brentq(gap, 1e-6, got.auc - 1e-6, xtol=1e-13), abs=CLOSE)
    assert got.low < got.lower_limit < got.auc < got.high


def test_auc_of_separated_and_of_empty_classes() -> None:
    perfect = subject_auc(np.arange(10) + 100, np.arange(10))
    assert perfect.auc == perfect.high == 1.0
    assert 0.5 < perfect.lower_limit < 1.0
    assert np.isnan(subject_auc([], [1.0]).auc)


@pytest.mark.parametrize(("n", "shape"), [(24, "normal"), (60, "skewed")])
def test_coverage_of_the_mean(n: int, shape: str) -> None:
    rng = np.random.default_rng(n)
    cohorts = 1000  # as columns: they share the drawn subjects' positions, not their values
    x = rng.normal(size=(n, cohorts)) if shape == "normal" else rng.gamma(1.0, 1.0, (n, cohorts)) - 1.0
    got = mean_interval(x, Draws(1, shape), replicates=499)
    covered = float(((got.low <= 0) & (got.high >= 0)).mean())
    assert 0.92 <= covered <= 0.975, covered


def test_size_of_the_permutation_test_with_unequal_spread() -> None:
    rng = np.random.default_rng(8)
    case, control = rng.normal(0, 3, (20, 800)), rng.normal(0, 1, (40, 800))
    size = float((permutation_p(case, control, Draws(2), replicates=499) <= 0.05).mean())
    assert 0.03 <= size <= 0.075, size


def test_coverage_of_the_auc_lower_limit() -> None:
    rng = np.random.default_rng(5)
    truth = stats.norm.cdf(1.0 / np.sqrt(2))
    limits = [subject_auc(rng.normal(1, 1, 12), rng.normal(0, 1, 12)).lower_limit for _ in range(1000)]
    assert 0.93 <= np.mean(np.array(limits) <= truth) <= 0.985


def test_draws_are_fixed_for_ever() -> None:
    d = Draws(0, "a")
    assert d.with_replacement(1, 6).tolist() == [[2, 2, 3, 4, 2, 5]]
    assert Draws(0, "a").with_replacement(1, 6).tolist() != Draws(0, "b").with_replacement(1, 6).tolist()
    assert sorted(d.permutations(1, 9)[0].tolist()) == list(range(9))


@pytest.mark.parametrize(("case_there", "control_there", "enough"), [(2, 20, False), (4, 20, False), (5, 20, True)])
def test_subjects_without_a_value_are_not_counted(case_there: int, control_there: int, enough: bool) -> None:
    """The second column is in few cases: the first one's numbers stay, the second has neither interval nor p."""
    rng = np.random.default_rng(2)
    case, control = rng.normal(3, 1, (20, 2)), rng.normal(0, 1, (20, 2))
    case[case_there:, 1], control[control_there:, 1] = np.nan, np.nan
    interval, p = difference_interval(case, control, Draws(0), replicates=199), permutation_p(
        case, control, Draws(1), replicates=199
    )
    assert np.isfinite([interval.low[0], interval.high[0], p[0]]).all()
    assert np.isfinite(p[1]) == enough
    if not enough:
        assert np.isnan([interval.low[1], interval.high[1]]).all()
    constant = np.where(np.isnan(case), np.nan, 1.0), np.where(np.isnan(control), np.nan, 1.0)
    got = difference_interval(*constant, Draws(0), replicates=199)
    assert (got.low[0], got.low[1] == 0.0) == (0.0, enough)


def test_the_mean_of_a_column_needs_twenty_values() -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    x[19:, 1] = np.nan
    got = mean_interval(x, Draws(0), replicates=199)
    assert np.isfinite(got.low[0])
    assert np.isnan([got.low[1], got.high[1]]).all()


def test_limits_of_other_confidences() -> None:
    assert [tail_of(1999, confidence) for confidence in (0.9, 0.95, 0.99)] == [100, 50, 10]
    with pytest.raises(ValueError, match="enough replicates"):
        tail_of(30, 0.95)
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.7, 1, 14), rng.normal(0, 1, 11)
    assert subject_auc(a, b, 0.9).low == pytest.approx(subject_auc(a, b).lower_limit, abs=CLOSE)
    assert subject_auc(a, b, 0.9).high < subject_auc(a, b).high
