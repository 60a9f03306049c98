"""Effect sizes: against SciPy, root finding on the noncentral t, and pairs counted one by one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq
from scipy.special import gamma, nctdtr
from statsmodels.stats.multitest import multipletests

import tolerances
from layer_fast.quantify import holm
from layer_fast.quantify.stats.effects import (
    _noncentrality,
    cliffs_delta,
    hedges_correction,
    hedges_g,
    paired_g,
    rank_biserial,
    welch_p,
    wilcoxon_p,
)
from layer_fast.quantify.stats.multiple import adjusted

NEAR = tolerances.STATISTICS
rng = np.random.default_rng(1)
CASE, CONTROL = rng.normal([0.0, 0.6, -2.0, 12.0], 1.0, (17, 4)), rng.normal(0.0, 1.3, (23, 4))


def limits(t: float, df: int) -> list[float]:
    """The noncentralities at which t is the 97.5 % and the 2.5 % quantile."""
    ends = t - 0.45 * abs(t) - 4, t + 0.45 * abs(t) + 4
    return [brentq(lambda n, q=q: stats.nct.cdf(t, df, n) - q, *ends, xtol=1e-13) for q in (0.975, 0.025)]


def test_hedges_g_and_its_limits() -> None:
    got = hedges_g(CASE, CONTROL)
    df, root = 38, np.sqrt(1 / 17 + 1 / 23)
    j = gamma(df / 2) / (np.sqrt(df / 2) * gamma((df - 1) / 2))
    assert hedges_correction(df) == pytest.approx(j, rel=NEAR)
    for c in range(4):
        t = stats.ttest_ind(CASE[:, c], CONTROL[:, c]).statistic
        assert got.estimate[c] == pytest.approx(j * t * root, rel=NEAR)
        assert [got.low[c], got.high[c]] == pytest.approx([j * root * x for x in limits(t, df)], rel=NEAR)
    swapped = hedges_g(CONTROL, CASE)
    assert swapped.low == pytest.approx(-got.high, rel=NEAR)


def test_paired_g_and_its_limits() -> None:
    got = paired_g(CASE)
    j = gamma(8) / (np.sqrt(8) * gamma(7.5))
    for c in range(4):
        t = stats.ttest_1samp(CASE[:, c], 0.0).statistic
        assert got.estimate[c] == pytest.approx(j * t / np.sqrt(17), rel=NEAR)
        assert [got.low[c], got.high[c]] == pytest.approx([j * x / np.sqrt(17) for x in limits(t, 16)], rel=NEAR)


def test_the_noncentrality_is_exact_far_out() -> None:
    t = np.array([0.0, 3.0, 200.0, 1000.0])
    for df in (2.0, 18.0, 128.0):
        for q in (0.975, 0.025):
            assert nctdtr(df, _noncentrality(df, q, t), t) == pytest.approx(q, rel=1e-11)


def test_noncentral_limits_cover() -> None:
    x = np.random.default_rng(2).normal(0.5, 1.0, (20, 4000))
    got = paired_g(x)
    j = hedges_correction(19)  # the limits of g are those of d times J
    covered = int(((got.low / j <= 0.5) & (got.high / j >= 0.5)).sum())
    assert stats.binomtest(covered, 4000, 0.95).pvalue > 1e-3


def test_sizes_without_a_spread_are_nan() -> None:
    flat = np.ones((6, 1))
    assert np.isnan(hedges_g(flat, 2 * flat).estimate).all() and np.isnan(paired_g(flat)).all()
    assert np.isnan(hedges_g(flat[:1], flat[:1])).all()
    assert np.isnan(welch_p(flat, flat)).all() and np.isnan(welch_p(flat[:1], flat)).all()
    assert np.isnan(wilcoxon_p(0 * flat)).all() and np.isnan(rank_biserial(0 * flat)).all()


def test_cliffs_delta_counts_pairs() -> None:
    case, control = np.round(CASE), np.round(CONTROL)
    got = cliffs_delta(case, control)
    assert got.estimate[3] == got.high[3] == 1.0 and got.low[3] < 1.0
    for c in range(3):
        pairs = np.sign(case[:, None, c] - control[None, :, c])
        assert got.estimate[c] == pytest.approx(pairs.mean(), abs=NEAR)
        assert -1 <= got.low[c] < got.estimate[c] < got.high[c] <= 1


def test_limits_of_cliffs_delta_follow_the_confidence() -> None:
    wide, narrow = (cliffs_delta(CASE, CONTROL, confidence) for confidence in (0.95, 0.8))
    assert (narrow.low[:3] > wide.low[:3]).all() and (narrow.high[:3] < wide.high[:3]).all()


def test_wilcoxons_p_does_not_depend_on_ties_in_the_columns_beside_it() -> None:
    """SciPy decides between its exact and its normal p once for all columns of a call."""
    clean = rng.normal(0.5, 1.0, (18, 2))
    tied, zero = np.round(clean[:, :1]), np.where(np.arange(18) < 3, 0.0, clean[:, 0])[:, None]
    for x in (np.concatenate([clean, tied, zero], axis=1), np.concatenate([clean, tied, zero], axis=1)[:11]):
        alone = [stats.wilcoxon(column).pvalue for column in x.T]
        assert wilcoxon_p(x) == pytest.approx(alone, rel=NEAR)
        assert wilcoxon_p(x[:, :1])[0] == wilcoxon_p(x)[0]


@pytest.mark.parametrize("n", [2, 5, 9])
def test_wilcoxons_p_of_few_tied_subjects_is_scipys(n: int) -> None:
    x = np.random.default_rng(n).integers(-3, 5, (n, 40)).astype(float)
    x = x[:, (x != 0).any(axis=0)]
    alone = [stats.wilcoxon(column).pvalue for column in x.T]
    assert wilcoxon_p(x) == pytest.approx(alone, abs=NEAR)


def test_rank_biserial_is_wilcoxons_share() -> None:
    x = np.round(CASE * 2) / 2  # ties and zeros
    got = rank_biserial(x)
    for c in range(4):
        d = x[:, c][x[:, c] != 0]
        rank = stats.rankdata(abs(d))
        assert got[c] == pytest.approx((rank[d > 0].sum() - rank[d < 0].sum()) / rank.sum(), abs=NEAR)
        assert wilcoxon_p(x)[c] == pytest.approx(stats.wilcoxon(x[:, c]).pvalue, rel=NEAR)
    assert welch_p(CASE, CONTROL) == pytest.approx(stats.ttest_ind(CASE, CONTROL, equal_var=False).pvalue, rel=NEAR)


@pytest.mark.parametrize("seed", range(5))
def test_adjusted_p_are_statsmodels(seed: int) -> None:
    p = np.random.default_rng(seed).random(15) ** 3
    p[3] = p[4]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1], rel=NEAR)
    p[7] = np.nan
    full = np.where(np.isnan(p), 1.0, p)
    for got, method in zip(adjusted(p), ("holm", "fdr_bh"), strict=True):
        assert np.isnan(got[7])
        assert np.delete(got, 7) == pytest.approx(np.delete(multipletests(full, method=method)[1], 7), rel=NEAR)
