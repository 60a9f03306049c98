"""Geometry and confounders: what is planted as a confounder stops a claim, a real effect passes; numbers by oracles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fake_tables import draw_phi, shapley_tables
from layer_fast.quantify import Settings, analyse, cells, summary
from layer_fast.quantify.claim.geometry import adjusted_contrast
from layer_fast.quantify.claim.out_of_fold import auc_difference, fit_ridge, out_of_fold_scores, with_missing
from layer_fast.validation.guard_tables import CONFOUNDED, GENUINE, cohort, geometry_fires

NAME = "geometry_and_confounders"


def gate_of(layers: Any, scans: Any) -> dict[str, Any]:
    answer = summary(layers, scans, replicates=99)["answers"][0]
    return next(g for g in answer["gates"] if g["name"] == NAME)


@pytest.mark.parametrize("kind", CONFOUNDED)
def test_a_planted_confounder_stops_the_claim(kind: str) -> None:
    assert sum(geometry_fires(kind, 60, 2.5, seed) for seed in range(5)) >= 4


@pytest.mark.parametrize("kind", GENUINE)
def test_content_passes(kind: str) -> None:
    assert sum(geometry_fires(kind, 60, 2.5, seed) for seed in range(5)) <= 1


def test_reason_names_the_confounder_and_its_numbers() -> None:
    gate = gate_of(*cohort("bmi", 60, 2.5, 0))
    assert gate["passed"] is False
    assert "person alone: AUC 0.9" in gate["reason"]
    assert gate["value"] <= 0.05


def test_layer_whose_value_follows_its_thickness_has_no_adjusted_contrast() -> None:
    """The margin holds content besides; the layer's own D is nothing but thickness."""
    layers, scans = cohort("thickness", 80, 3.0, 1)
    rng = np.random.default_rng(0)
    thick = {r["scan_id"]: np.log(r["thickness_mm"]) for r in layers if r["label_value"] == 4}
    centre = np.mean(list(thick.values()))
    for row in layers:
        if row["region_kind"] == "layer" and row["label_value"] == 4:
            row["value"] = 20.0 * (thick[row["scan_id"]] - centre) + rng.normal(0, 3.0)
    stats = analyse(cells(layers)[0], {s["scan_id"]: s for s in scans}, Settings(replicates=99))
    found = adjusted_contrast(stats, {s["scan_id"]: s for s in scans}, 4)
    assert stats.contrast.estimate[4] > 5.0
    assert found.p > 0.05
    assert found.adjusted_for == ("thickness", "depth", "bmi")
    assert _by_hand(stats, scans, layers, 4) == pytest.approx((found.estimate, found.se), rel=1e-9)


def test_a_class_that_follows_from_what_is_held_fixed_has_no_adjusted_contrast() -> None:
    """The body mass index is written down for cases only: the indicator of its absence is the class."""
    layers, scans = cohort("content", 60, 2.5, 0)
    scans = [{**s, "bmi": s["bmi"] if s["label"] == "case" else ""} for s in scans]
    stats = analyse(cells(layers)[0], {s["scan_id"]: s for s in scans}, Settings(replicates=99))
    found = adjusted_contrast(stats, {s["scan_id"]: s for s in scans}, 4)
    assert found.adjusted_for[-1] == "bmi" and np.isnan([found.estimate, found.se, found.p]).all()
    assert gate_of(layers, scans)["passed"] is False


def _by_hand(stats: Any, scans: list[dict[str, Any]], layers: list[dict[str, Any]], k: int) -> tuple[float, float]:
    """HC3 from its formula, one scan a subject, without the library: raw columns, explicit inverse and hat matrix."""
    mm = {(r["scan_id"], r["label_value"]): r["thickness_mm"] for r in layers if r["region_kind"] == "layer"}
    x, y = [], []
    for i, s in enumerate(scans):
        scan = s["scan_id"]
        x.append([s["label"] == "case", 1.0, mm[scan, k], sum(mm[scan, j] for j in range(1, k)), float(s["bmi"])])
        y.append(stats.per_subject[i, k])
    a, b = np.array(x, np.float64), np.array(y)
    inverse = np.linalg.inv(a.T @ a)
    w = inverse @ a.T @ b
    leverage = np.diag(a @ inverse @ a.T)
    meat = (a.T * ((b - a @ w) / (1 - leverage)) ** 2) @ a
    return float(w[0]), float(np.sqrt((inverse @ meat @ inverse)[0, 0]))


def test_few_subjects_and_missing_thickness_are_not_checked() -> None:
    few = gate_of(*cohort("content", 18, 3.0, 0))
    assert few["passed"] is None and few["reason"].startswith("not checked")
    layers, scans = shapley_tables(*draw_phi(np.random.default_rng(0), subjects=40, effect={4: 2.0}))
    assert gate_of(layers, scans)["passed"] is None  # these rows have no thickness


def test_ridge_equals_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 5))
    y = x[:, 0] + rng.normal(size=40) > 0
    peer = LogisticRegression(C=1.0, tol=1e-12, max_iter=10_000).fit(x, y)
    mine = fit_ridge(x, y)
    assert mine == pytest.approx(np.concatenate([peer.intercept_, peer.coef_[0]]), abs=1e-6)


def test_separated_classes_have_finite_weights() -> None:
    x = np.linspace(-1, 1, 20)[:, None] * 1e6
    assert np.isfinite(fit_ridge(x / x.std(), x[:, 0] > 0)).all()


def test_paired_difference_equals_delong_by_placements() -> None:
    rng = np.random.default_rng(4)
    case = np.arange(30) < 12
    a, b = rng.normal(size=30).round(1) + case, rng.normal(size=30).round(1) + 0.5 * case

    def placements(s: NDArray[Any]) -> tuple[list[float], list[float]]:
        def win(u: float, v: float) -> float:
            return 1.0 if u > v else 0.5 if u == v else 0.0

        own, other = s[case], s[~case]
        return [np.mean([win(u, v) for v in other]) for u in own], [np.mean([win(u, v) for u in own]) for v in other]

    (va, wa), (vb, wb) = placements(a), placements(b)
    s10, s01 = np.cov(va, vb), np.cov(wa, wb)
    var = sum((s[0, 0] + s[1, 1] - 2 * s[0, 1]) / n for s, n in ((s10, 12), (s01, 18)))
    middle, low, high = auc_difference(a, b, case)
    assert middle == pytest.approx(np.mean(va) - np.mean(vb), abs=1e-12)
    assert (high - low) / 2 == pytest.approx(1.959963984540054 * np.sqrt(var), rel=1e-9)


def test_scores_are_out_of_sample() -> None:
    """Forty features of noise for forty subjects fit perfectly and predict nothing; in-sample AUC would be 1."""
    found = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        case = np.arange(40) % 2 == 0
        score = out_of_fold_scores(rng.normal(size=(40, 40)), case, seed, "noise")
        found.append(np.mean(score[case][:, None] > score[~case][None]))
    assert 0.35 < np.mean(found) < 0.62


def test_scores_follow_from_seed_and_name_and_gaps_are_features() -> None:
    rng = np.random.default_rng(5)
    case = np.arange(30) % 2 == 0
    x = rng.normal(size=(30, 2))
    assert np.array_equal(out_of_fold_scores(x, case, 1, "a"), out_of_fold_scores(x.copy(), case, 1, "a"))
    assert not np.array_equal(out_of_fold_scores(x, case, 1, "a"), out_of_fold_scores(x, case, 2, "a"))
    x[case, 1] = np.nan  # known of controls only
    assert with_missing(x).shape == (30, 3)
    score = out_of_fold_scores(x, case, 1, "a")
    assert np.mean(score[case][:, None] > score[~case][None]) == 1.0
