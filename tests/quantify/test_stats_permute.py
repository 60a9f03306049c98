"""Permutation inside blocks: against statsmodels' linear models, SciPy, loops, and its own level under nulls."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.api import OLS

import tolerances
from layer_fast.quantify.stats.classes import BETWEEN, BOTH, WITHIN, Labels, contrasts
from layer_fast.quantify.stats.permute import Effect, between, joined, shuffled, two_sided_p, within
from layer_fast.quantify.stats.resample import Plan

NEAR = tolerances.STATISTICS
PLAN = Plan(seed=5, replicates=399)
rng = np.random.default_rng(0)


def test_between_is_a_linear_model_with_hc2_errors() -> None:
    x, block = rng.normal(size=(45, 7)) * 3 + 100, rng.integers(0, 4, 45)
    labels = rng.random((5, 45)) < 0.4
    got = between(x, labels.astype(float), block)
    sites = (block[:, None] == np.arange(4)).astype(float)
    for b, z in enumerate(labels):
        for c in range(7):
            fit = OLS(x[:, c], np.column_stack([z, sites])).fit(cov_type="HC2")
            assert got.estimate[b, c] == pytest.approx(fit.params[0], rel=NEAR)
            assert got.v[b, c] == pytest.approx(fit.bse[0] ** 2, rel=NEAR)


def test_between_at_one_site_is_welch() -> None:
    x = rng.normal(size=(20, 3))
    z = np.arange(20) < 7
    got = between(x, z[None].astype(float), np.zeros(20, int))
    theirs = stats.ttest_ind(x[z], x[~z], equal_var=False)
    assert got.estimate[0] / np.sqrt(got.v[0]) == pytest.approx(theirs.statistic, rel=NEAR)


def test_between_has_no_number_where_no_site_holds_both_classes() -> None:
    z = np.repeat([1.0, 0.0], 10)
    assert np.isnan(between(rng.normal(size=(20, 1)), z[None], z.astype(int)).estimate).all()


def test_labels_are_shuffled_inside_their_blocks_and_evenly() -> None:
    block = np.array([2, 0, 2, 1, 0, 2, 2, 1])
    labels = np.array([1, 1, 0, 1, 0, 0, 0, 1], bool)
    got = shuffled(labels, block, PLAN.draws("x"), 6000)
    for code in range(3):
        assert (got[:, block == code].sum(axis=1) == labels[block == code].sum()).all()
    assert stats.chisquare(got[:, block == 2].sum(axis=0)).pvalue > 1e-3
    assert stats.chisquare([got[:, 1].sum(), got[:, 4].sum()]).pvalue > 1e-3


def test_within_is_a_paired_difference() -> None:
    subject = np.repeat(np.arange(9), 4)
    z = rng.permuted(np.tile([True, True, False, False], (9, 1)), axis=1).ravel()
    z[4:8] = [True, False, False, False]
    x = rng.normal(size=(36, 3)) + subject[:, None]
    got = within(x, z[None].astype(float), subject)
    d = np.array([x[(subject == s) & z].mean(0) - x[(subject == s) & ~z].mean(0) for s in range(9)])
    assert got.estimate[0] == pytest.approx(d.mean(0), rel=NEAR)
    assert got.v[0] == pytest.approx(d.var(0, ddof=1) / 9, rel=NEAR)


def test_p_is_counted_over_the_permutations() -> None:
    x = rng.normal(size=(18, 4)) + np.where(np.arange(18) < 9, 0.8, 0.0)[:, None]
    z = np.arange(18) < 9
    order = shuffled(z, np.zeros(18, int), PLAN.draws("y"), 399)
    got = two_sided_p(Effect(*(e[0] for e in between(x, z[None] * 1.0, z * 0))), between(x, order, z * 0))
    for c in range(4):
        t = abs(stats.ttest_ind(x[z, c], x[~z, c], equal_var=False).statistic)
        star = [abs(stats.ttest_ind(x[o == 1, c], x[o == 0, c], equal_var=False).statistic) for o in order]
        assert got[c] == (1 + sum(s >= t - 1e-9 for s in star)) / 400


def test_two_parts_are_joined_by_their_variances() -> None:
    got = joined(Effect(np.array([1.0]), np.array([0.5])), Effect(np.array([4.0]), np.array([0.25])))
    assert got.estimate[0] == pytest.approx(3.0) and got.v[0] == pytest.approx(1 / 6)


def sides(columns: int, effect: float = 0.0, site_effect: float = 0.0) -> tuple[np.ndarray, Labels]:
    """60 subjects of two sides at two sites: a third has both classes; cases are commoner at site 1."""
    random = np.random.default_rng(12)
    subject = np.repeat(np.arange(60), 2)
    site = (np.arange(60) >= 30)[subject].astype(int)
    whole = random.random(60) < np.where(np.arange(60) >= 30, 0.85, 0.15)
    positive = whole[subject]
    for s in range(0, 60, 3):
        positive[2 * s : 2 * s + 2] = random.permutation([True, False])
    x = random.normal(size=(60, columns))[subject] + 0.5 * random.normal(size=(120, columns))
    x += site_effect * site[:, None] + effect * positive[:, None]
    return x, Labels(subject, positive, site)


def test_no_effect_is_rejected_in_a_twentieth_even_where_sites_differ() -> None:
    x, who = sides(600, site_effect=3.0)
    got = contrasts(x, who, PLAN)
    assert set(got.basis) == {BOTH}
    for p in (got.p, np.array([part[BETWEEN]["p"] for part in got.parts]), [part[WITHIN]["p"] for part in got.parts]):
        rejected = int((np.asarray(p) <= 0.05).sum())
        assert stats.binomtest(rejected, 600, 0.05).pvalue > 1e-3
    everywhere = contrasts(x, Labels(who.subject, who.positive, 0 * who.site), PLAN)
    assert (np.array([part[BETWEEN]["p"] for part in everywhere.parts]) <= 0.05).mean() > 0.5


def test_subjects_of_both_classes_add_what_they_know() -> None:
    x, who = sides(400, effect=0.5)
    got = contrasts(x, who, PLAN)
    one, two = got.parts[0][BETWEEN], got.parts[0][WITHIN]
    assert one["n_case"] + one["n_control"] == 40 and two["n"] == 20
    power = [(np.asarray(p) <= 0.05).mean() for p in
             (got.p, [part[BETWEEN]["p"] for part in got.parts])]  # fmt: skip
    assert power[0] > power[1] + 0.2
    covered = (got.interval.low <= 0.5) & (got.interval.high >= 0.5)
    assert 0.90 <= covered.mean() <= 0.99


def test_joined_numbers_by_hand() -> None:
    x, who = sides(1, effect=0.3)
    got = contrasts(x, who, PLAN)
    mean = x[:, 0].reshape(60, 2).mean(axis=1)
    z = who.positive.reshape(60, 2)
    case, control = mean[z.all(axis=1)], mean[~z.any(axis=1)]
    mixed = z[:, 0] != z[:, 1]
    d = np.where(z[:, 0], x[::2, 0] - x[1::2, 0], x[1::2, 0] - x[::2, 0])[mixed]
    b, vb = case.mean() - control.mean(), case.var(ddof=1) / len(case) + control.var(ddof=1) / len(control)
    w, vw = d.mean(), d.var(ddof=1) / len(d)
    assert got.parts[0][BETWEEN]["estimate"] == pytest.approx(b, rel=NEAR)
    assert got.parts[0][WITHIN]["estimate"] == pytest.approx(w, rel=NEAR)
    assert got.interval.estimate[0] == pytest.approx((b / vb + w / vw) / (1 / vb + 1 / vw), rel=NEAR)
    assert got.interval.se[0] == pytest.approx((1 / vb + 1 / vw) ** -0.5, rel=NEAR)
    t = []
    index = [PLAN.draws(name, len(v)).with_replacement(399, len(v)) for name, v in
             (("case", case), ("control", control), ("mean", d))]  # fmt: skip
    for i, j, k in zip(*index, strict=True):
        b2, vb2 = case[i].mean() - control[j].mean(), case[i].var(ddof=1) / len(i) + control[j].var(ddof=1) / len(j)
        w2, vw2 = d[k].mean(), d[k].var(ddof=1) / len(k)
        both = (b2 / vb2 + w2 / vw2) / (1 / vb2 + 1 / vw2)
        t.append((both - got.interval.estimate[0]) * (1 / vb2 + 1 / vw2) ** 0.5)
    high, low = np.sort(t)[9], np.sort(t)[-10]
    expected = [got.interval.estimate[0] - q * got.interval.se[0] for q in (low, high)]
    assert [got.interval.low[0], got.interval.high[0]] == pytest.approx(expected, rel=NEAR)


def test_only_subjects_of_both_classes() -> None:
    x, who = sides(2)
    mixed = np.isin(who.subject, np.arange(0, 60, 3))
    got = contrasts(x[mixed], Labels(who.subject[mixed], who.positive[mixed], who.site[mixed]), PLAN)
    assert got.basis == [WITHIN] * 2 and got.interval.estimate[0] == got.parts[0][WITHIN]["estimate"]
    assert np.isfinite(got.interval.low).all()  # 20 subjects


def test_one_class_has_no_contrast() -> None:
    x, who = sides(2)
    got = contrasts(x, Labels(who.subject, np.ones(120, bool), who.site), PLAN)
    assert got.basis == ["", ""] and np.isnan(got.interval.estimate).all() and np.isnan(got.p).all()


def few_with_both(columns: int) -> tuple[np.ndarray, Labels]:
    """20 subjects of one class and 5 of both: of 399 resamples of five some repeat one subject five times."""
    random = np.random.default_rng(3)
    subject = np.repeat(np.arange(25), 2)
    positive = np.where(subject < 20, subject % 2 == 0, np.arange(50) % 2 == 0)
    return random.normal(size=(50, columns)), Labels(subject, positive, np.zeros(50, int))


def test_a_resample_of_one_subject_alone_withholds_no_interval() -> None:
    got = contrasts(*few_with_both(30), Plan(seed=5, replicates=1999))
    assert set(got.basis) == {BOTH} and np.isfinite([got.interval.low, got.interval.high]).all()
    assert (got.interval.low < got.interval.estimate).all() and (got.interval.estimate < got.interval.high).all()


def test_as_an_error_goes_to_zero_its_effect_is_left() -> None:
    small, none = (joined(Effect(np.array([1.0]), np.array([v])), Effect(np.array([4.0]), np.array([0.5])))
                   for v in (1e-13, 0.0))  # fmt: skip
    assert none.estimate[0] == pytest.approx(small.estimate[0], abs=1e-11) and none.v[0] == 0.0


def test_a_part_without_spread_is_joined_with_none() -> None:
    x, who = few_with_both(1)
    x[40:] = np.where(who.positive[40:, None], 0.3, 0.1)  # every subject of both classes has the same difference
    got = contrasts(x, who, PLAN)
    assert got.basis == [BOTH] and np.isnan([got.interval.estimate[0], got.interval.low[0], got.p[0]]).all()
    assert got.parts[0][WITHIN]["estimate"] == pytest.approx(0.2) and np.isfinite(got.parts[0][BETWEEN]["estimate"])
    nothing = contrasts(0.0 * x, who, PLAN)
    assert (nothing.interval.estimate[0], nothing.interval.low[0], nothing.p[0]) == (0.0, 0.0, 1.0)
