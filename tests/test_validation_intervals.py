"""The validation of intervals: its truth, its counts, its resuming, and the results that are committed."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import log_loss as sklearn_loss
from sklearn.metrics import roc_auc_score

from layer_fast.validation import interval_kinds, intervals
from layer_fast.validation.intervals import GOAL, SHAPES, Case, cases, coverage, effects, run, subject_means

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "validation_intervals.json"


@pytest.mark.parametrize("shape", SHAPES)
def test_effects_have_mean_0_and_sd_1(shape: str) -> None:
    x = effects(shape, 400_000, 1, np.random.default_rng(1))[:, 0]
    assert abs(x.mean()) < 0.01 and abs(x.std() - 1) < (0.1 if shape == "lognormal_1" else 0.01)
    skewness = {"normal": 0.0, "gamma_1": 2.0, "lognormal_0.5": 1.75}.get(shape)
    assert skewness is None or stats.skew(x) == pytest.approx(skewness, abs=0.1)
    with pytest.raises(ValueError, match="expected normal"):
        effects("cauchy", 2, 2, np.random.default_rng(1))


def test_more_scans_where_the_effect_is_high_bias_no_subject_mean() -> None:
    x = subject_means("gamma_1", 200_000, 1, np.random.default_rng(2))[:, 0]
    assert abs(x.mean()) < 4 * x.std() / np.sqrt(200_000)


def test_counts_add_up_and_limits_are_exact() -> None:
    got = coverage(Case("normal", 20, 0.5), 200, 199)
    assert got["covered"] + got["below"] + got["above"] + got["withheld"] == 200 and got["withheld"] == 0
    exact = stats.beta.ppf([0.025, 0.975], [got["covered"], got["covered"] + 1],
                           [201 - got["covered"], 200 - got["covered"]])  # fmt: skip
    assert [got["low"], got["high"]] == pytest.approx(exact.tolist(), rel=1e-9)
    assert 0.89 <= got["coverage"] <= 0.99 and got["truth"] == 0.5
    assert abs(got["fresh_mean"]) < 4 * got["fresh_se"]


def test_a_wrong_truth_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "subject_means", lambda *a: subject_means(*a) + 0.5)
    assert coverage(Case("normal", 40, None), 80, 199)["coverage"] < 0.5


def test_small_cohorts_are_withheld() -> None:
    got = coverage(Case("normal", 19, None), 40, 199)
    assert (got["withheld"], got["covered"], got["coverage"], got["holds"]) == (40, 0, None, None)


def test_a_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def two_then_stop(case: Case, cohorts: int, replicates: int) -> dict[str, object]:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(case.name)
        return {"cohorts": cohorts}

    monkeypatch.setattr(intervals, "coverage", two_then_stop)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out.json", quick=True)
    monkeypatch.setattr(intervals, "coverage", lambda case, *_: done.append(case.name) or {})
    monkeypatch.setattr(interval_kinds, "coverage", lambda name, quick: done.append(name) or {})
    found = run(tmp_path / "out.json", quick=True)
    assert done == [*(case.name for case in cases(True)), *interval_kinds.kinds(True)]
    run(tmp_path / "out.json", quick=True)
    assert len(done) == len(cases(True)) + len(interval_kinds.kinds(True)), "nothing is measured twice"
    assert json.loads((tmp_path / "out.json").read_text()) == found


def test_cells_of_other_settings_are_measured_again() -> None:
    cells: dict[str, Any] = {name: {"quantities": {}} for name in interval_kinds.kinds(True)}
    held = {"settings": interval_kinds.SETTINGS[True], "cells": cells}
    assert interval_kinds.missing(interval_kinds.known(held, True), True) == []
    held["settings"] = {**held["settings"], "cohorts": 61}
    assert interval_kinds.missing(interval_kinds.known(held, True), True) == list(cells)


@pytest.mark.parametrize("name", interval_kinds.kinds(True))
def test_intervals_of_other_numbers_mostly_hold_the_truth(name: str) -> None:
    quantities = interval_kinds.coverage(name, True)["quantities"]
    for what, one in quantities.items():
        assert one["cohorts"] == 60 and one["withheld"] <= 6, what
        assert one["coverage"] >= 0.8, what


def test_the_truth_of_a_game_is_that_of_its_shapley_values() -> None:
    kind = interval_kinds.kinds(True)["games 1/normal/40"]
    truth = interval_kinds._game_truth(kind, 4000, np.random.default_rng(0))
    margins, is_case = interval_kinds._coalitions(kind, 4000, np.random.default_rng(0))
    loss = np.array([sklearn_loss(is_case, 1 / (1 + np.exp(-margins[:, s]))) for s in range(8)])
    for k, player in enumerate(interval_kinds.PLAYERS):
        gains = []
        for order in itertools.permutations(range(3)):
            before = sum(1 << o for o in order[: order.index(k)])
            gains.append(loss[before | 1 << k] - loss[before])
        assert truth[f"log_loss, {player}"] == pytest.approx(np.mean(gains), abs=1e-9)
    assert truth["auc, all"] == pytest.approx(roc_auc_score(is_case, margins[:, 7]), abs=1e-9)
    assert truth["auc, none"] < 0.0 < truth["auc, little"] < truth["auc, much"], "noise without information costs"


def test_what_was_measured_of_other_numbers_is_all_there() -> None:
    found = json.loads(RESULTS.read_text())["other"]
    assert interval_kinds.missing(interval_kinds.known(found, False), False) == []


def test_what_was_measured_holds_and_stands_in_the_guide() -> None:
    found = json.loads(RESULTS.read_text())
    cells = found["cells"]
    assert set(cells) == {case.name for case in cases(False)} and found["settings"]["goal"] == list(GOAL)
    asked = [cell for cell in cells.values() if cell["in_goal"]]
    assert len(asked) == 16 and all(cell["holds"] for cell in asked)
    assert all(GOAL[0] <= cell["coverage"] <= GOAL[1] and cell["cohorts"] == 4000 for cell in asked)
    guide = (ROOT / "docs/guides/statistics.md").read_text(encoding="utf-8")
    for n in intervals.SUBJECTS:
        entries = (
            "; ".join(f"{100 * cells[f'{kind}/{shape}/{n}']['coverage']:.1f}" for kind in
                      ("mean", "difference_0.5", "difference_0.25")) for shape in SHAPES
        )  # fmt: skip
        assert f"| {n} | {' | '.join(entries)} |" in guide


def test_what_is_said_of_other_intervals_is_what_was_measured() -> None:
    """The docstrings and the guide name the one interval that covers too little, and where."""
    cells = json.loads(RESULTS.read_text())["other"]["cells"].values()
    rates: dict[tuple[Any, ...], list[float]] = {}
    for c in cells:
        for what, one in c["quantities"].items():
            key = c["kind"], what.split(",")[0], c["shape"], tuple(c["people"])
            rates.setdefault(key, []).append(one["coverage"])
    low = {key for key, found in rates.items() if min(found) < GOAL[0]}
    assert {(kind, what) for kind, what, *_ in low} == {("games", "log_loss")}
    assert {people for _, _, shape, people in low if shape == "gamma_1"} == {(20,), (40,)}
    assert all(min(found) >= 0.9 and max(found) <= 0.98 for found in rates.values())
    ranks = [rate for key, found in rates.items() if key[0] == "rank" for rate in found]
    assert GOAL[0] <= min(ranks) and max(ranks) <= 0.975
