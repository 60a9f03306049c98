"""Calibration: against statsmodels on resamples written out, and AUC by pairs of units."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit
from statsmodels.api import GLM, families

import tolerances
from fake_tables import draw_phi, shapley_tables
from layer_fast.quantify import cohort_statistics
from layer_fast.quantify.stats.calibration import coefficient
from layer_fast.quantify.stats.clustered import clustered_auc
from layer_fast.quantify.stats.logistic import CONSTANT, ONE_CLASS, SEPARATED, Scans, fit, refit, why_not
from layer_fast.quantify.stats.resample import Plan, counts

NEAR = tolerances.STATISTICS


def made(subjects: int = 30, seed: int = 0) -> Scans:
    rng = np.random.default_rng(seed)
    each = rng.integers(1, 6, subjects)
    subject = np.repeat(np.arange(subjects), each)
    positive = (np.arange(subjects) % 2 == 0)[subject]
    margin = np.where(positive, 0.6, -0.6) + rng.normal(0, 1, subjects)[subject] + rng.normal(0, 1, len(subject))
    return Scans(margin, positive, subject, 1.0 / each[subject])


def by_statsmodels(scans: Scans, drawn: np.ndarray, slope: bool) -> tuple[float, float]:
    """The resample written out, every drawn subject a cluster of its own."""
    rows, cluster = [], []
    for s, n in enumerate(drawn.astype(int)):
        for k in range(n):
            mine = np.flatnonzero(scans.subject == s)
            rows += mine.tolist()
            cluster += [s * 100 + k] * len(mine)
    one = np.ones((len(rows), 1))
    design = np.column_stack([one, scans.margin[rows]]) if slope else one
    model = GLM(
        scans.positive[rows] * 1.0, design, family=families.Binomial(), offset=None if slope else scans.margin[rows],
        var_weights=scans.weight[rows],
    )  # fmt: skip
    kwds = {"groups": np.array(cluster), "use_correction": False}
    found = model.fit(tol=1e-14, maxiter=200, cov_type="cluster", cov_kwds=kwds)
    return float(found.params[-1]), float(found.bse[-1])


@pytest.mark.filterwarnings("ignore::statsmodels.tools.sm_exceptions.SpecificationWarning")
@pytest.mark.parametrize("slope", [False, True])
@pytest.mark.parametrize("spread", [1.0, 4.0])  # the second is far too sure and shifted: long ways for Newton
def test_resamples_are_fitted_as_statsmodels_does(slope: bool, spread: float) -> None:
    scans = made() if spread == 1.0 else replace(made(), margin=spread * made().margin + 3.0)
    drawn = np.concatenate([np.ones((1, 30)), counts(Plan().draws("t"), 12, 30)])
    value, se = refit(scans, drawn, slope)
    for i, one in enumerate(drawn):
        assert [value[i], se[i]] == pytest.approx(by_statsmodels(scans, one, slope), rel=NEAR)
    assert fit(scans, slope) == pytest.approx(value[0], rel=NEAR)


def test_what_has_no_solution_is_said() -> None:
    one = np.ones(6)
    code = np.arange(6)
    split = Scans(np.array([-2.0, -1, 0, 0, 1, 2]), np.arange(6) >= 3, code, one)
    assert why_not(split, True) == SEPARATED and why_not(split, False) == ""
    assert why_not(split, True) == why_not(Scans(-split.margin, split.positive, code, one), True)
    assert why_not(Scans(split.margin, code >= 0, code, one), False) == ONE_CLASS
    assert why_not(Scans(one, split.positive, code, one), True) == CONSTANT
    assert why_not(Scans(np.array([-1.0, 1, 0, -1, 1, 2]), split.positive, code, one), True) == ""
    assert np.isnan(refit(split, np.ones((2, 6)), True)).all()
    assert np.isnan(refit(split, np.array([[1.0, 1, 1, 0, 0, 0]]), False)).all()


def tables(noise: float, subjects: int = 40, seed: int = 0) -> Any:
    phi, case = draw_phi(np.random.default_rng(seed), subjects=subjects, scans=3, spread=noise, effect={4: 2.0})
    phi[..., 4] -= 1.0
    return shapley_tables(phi, case), phi.sum(axis=2), case


def test_losses_and_coefficients_of_a_cohort() -> None:
    (layers, scans), margin, case = tables(1.2)
    row = cohort_statistics(layers, scans, replicates=199)["calibration"][0]
    p = expit(margin)
    brier = ((p - case[:, None]) ** 2).mean(axis=1)
    loss = -np.where(case[:, None], np.log(p), np.log(1 - p)).mean(axis=1)
    assert row["brier"]["estimate"] == pytest.approx(brier.mean(), rel=NEAR)
    assert row["log_loss"]["estimate"] == pytest.approx(loss.mean(), rel=NEAR)
    y, x = np.repeat(case, 3) * 1.0, margin.ravel()
    both = GLM(y, np.column_stack([np.ones(120), x]), family=families.Binomial()).fit(tol=1e-14, maxiter=99)
    shift = GLM(y, np.ones((120, 1)), family=families.Binomial(), offset=x).fit(tol=1e-14, maxiter=99)
    assert row["slope"]["estimate"] == pytest.approx(both.params[1], rel=NEAR)
    assert row["intercept"]["estimate"] == pytest.approx(shift.params[0], rel=NEAR)
    for name in ("brier", "log_loss", "intercept", "slope", "auc"):
        assert row[name]["low"] < row[name]["estimate"] < row[name]["high"], name
    mean = margin.mean(axis=1)
    auc = stats.mannwhitneyu(mean[case], mean[~case]).statistic / (case.sum() * (~case).sum())
    assert row["auc"]["estimate"] == pytest.approx(auc, abs=NEAR) and row["auc_units"] is None
    assert (row["n_subjects"], row["n_case"], row["n_both"], row["exposure"]) == (40, 20, 0, {"unseen": 40})


def test_a_perfect_classifier_has_no_slope() -> None:
    (layers, scans), _, _ = tables(0.0)
    rows = [dict(row, margin=50.0 if row["label"] == "case" else -50.0) for row in layers]
    row = cohort_statistics(rows, scans, replicates=199)["calibration"][0]
    assert row["slope"] == {"estimate": None, "low": None, "high": None, "not_estimable": SEPARATED}
    assert row["auc"]["estimate"] == 1.0 and row["brier"]["estimate"] < 1e-12


def test_the_slope_finds_overconfidence_and_its_interval_covers_it() -> None:
    hit = []
    for seed in range(40):
        scans = made(60, seed)
        rng = np.random.default_rng(1000 + seed)
        y = rng.random(len(scans.margin)) < expit(0.5 * scans.margin)
        drawn = counts(Plan(seed).draws("s"), 199, 60)
        again = Scans(scans.margin, y, scans.subject, scans.weight)
        (estimate,), (se,) = refit(again, np.ones((1, 60)), True)
        value, error = refit(again, drawn, True)
        t = np.sort((value - estimate) / error)
        hit.append(estimate - t[-5] * se <= 0.5 <= estimate - t[4] * se)
    assert sum(hit) >= 34  # 95 % of 40 is 38; below 34 in 1 of 100 when the interval is right


def test_the_intercepts_interval_covers_it_where_the_share_of_cases_is_drawn_too() -> None:
    """Resamples with fixed classes would cover it in about 70 %: what varies most is left out of them."""
    hit = 0
    for seed in range(60):
        scans = made(60, seed)
        mean = scans.margin.reshape(-1)[scans.starts]
        case = np.random.default_rng(seed).random(60) < expit(0.3 + mean)
        again = Scans(mean, case, np.arange(60), np.ones(60))
        got = coefficient(again, (case, ~case), Plan(seed, 199), slope=False)
        hit += got["low"] <= 0.3 <= got["high"]
    assert hit >= 52  # 95 % of 60 is 57; below 52 in 1 of 100 when the interval is right


def test_auc_of_units_by_pairs() -> None:
    rng = np.random.default_rng(3)
    subject = np.repeat(np.arange(25), 2)
    positive = rng.random(50) < 0.5
    score = np.round(positive + rng.normal(0, 1.2, 25)[subject] + rng.normal(size=50), 1)
    got = clustered_auc(Scans(score, positive, subject, np.full(50, 0.5)), np.arange(50), 0.95)
    x, y = np.flatnonzero(positive), np.flatnonzero(~positive)
    win = 0.5 + 0.5 * np.sign(score[x][:, None] - score[y][None])
    auc, m, n = win.mean(), len(x), len(y)
    s10 = s01 = s11 = 0.0
    for s in range(25):
        one = sum(win[i].mean() - auc for i in range(m) if subject[x[i]] == s)
        two = sum(win[:, j].mean() - auc for j in range(n) if subject[y[j]] == s)
        s10, s01, s11 = s10 + one**2, s01 + two**2, s11 + one * two
    i10, i01 = len(set(subject[x])), len(set(subject[y]))
    v = i10 / (i10 - 1) * s10 / m**2 + i01 / (i01 - 1) * s01 / n**2 + 2 * 25 / 24 * s11 / (m * n)
    assert got["estimate"] == pytest.approx(auc, abs=NEAR)
    half = stats.norm.ppf(0.975) * np.sqrt(v) / (auc * (1 - auc))
    assert got["low"] == pytest.approx(expit(np.log(auc / (1 - auc)) - half), rel=NEAR)
