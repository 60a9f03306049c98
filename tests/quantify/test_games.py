"""Interactions and the cohort's own games against closed forms and slow loops, straight from chosen values."""

from __future__ import annotations

from itertools import combinations, permutations
from math import factorial
from typing import Any

import numpy as np
import pyarrow
import pytest
from sklearn.metrics import log_loss, roc_auc_score

import tolerances
from fake_tables import KEY, draw_phi, shapley_tables
from layer_fast.quantify import games, interactions
from layer_fast.quantify.cohort_games import auc_game, log_loss_game
from layer_fast.quantify.draws import Draws
from layer_fast.types import REGIONS


def slow_shapley(value: Any, p: int) -> list[float]:
    """Mean over all orders of the players of what each adds when it comes."""
    phi = np.zeros(p)
    for order in permutations(range(p)):
        before = 0
        for k in order:
            phi[k] += value(before | 1 << k) - value(before)
            before |= 1 << k
    return list(phi / factorial(p))


def margins(seed: int, subjects: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    """Values on a coarse grid, so that ties occur."""
    rng = np.random.default_rng(seed)
    is_case = np.arange(subjects) % 2 == 0
    return np.round(rng.normal(size=(subjects, 1 << p)) + is_case[:, None], 1), is_case


def test_log_loss_and_auc_are_shapley_values_of_the_metric() -> None:
    p = 4
    m, case = margins(0, 26, p)
    loss = log_loss_game(m, case, Draws(0, "a"), replicates=199)
    area = auc_game(m[case], m[~case], Draws(0, "b"), replicates=199)
    metric = {
        "loss": lambda s: log_loss(case, 1 / (1 + np.exp(-m[:, s]))), "auc": lambda s: roc_auc_score(case, m[:, s]),
    }  # fmt: skip
    for found, value in ((loss, metric["loss"]), (area, metric["auc"])):
        table = [value(s) for s in range(1 << p)]
        want = [*slow_shapley(table.__getitem__, p), table[-1], table[0]]
        np.testing.assert_allclose(found.estimate, want, rtol=0, atol=tolerances.STATISTICS)
        assert found.estimate[:p].sum() == pytest.approx(table[-1] - table[0], abs=tolerances.FLOAT64_SUM)
        assert (found.low < found.estimate).all() and (found.estimate < found.high).all()


def test_standard_error_of_the_auc_is_delongs() -> None:
    m, case = margins(1, 31, 2)
    found = auc_game(m[case], m[~case], Draws(0, "b"), replicates=199)
    a, b = m[case][:, -1], m[~case][:, -1]
    psi = (a[:, None] > b) + 0.5 * (a[:, None] == b)
    want = np.sqrt(psi.mean(axis=1).var(ddof=1) / len(a) + psi.mean(axis=0).var(ddof=1) / len(b))
    assert found.se[2] == pytest.approx(want, abs=tolerances.STATISTICS)


def test_few_subjects_have_no_interval() -> None:
    m, case = margins(2, 19, 2)
    for found in (log_loss_game(m, case, Draws(0, "a"), replicates=99),
                  auc_game(m[case], m[~case], Draws(0, "b"), replicates=99)):  # fmt: skip
        assert np.isfinite(found.estimate).all() and np.isnan(found.low).all() and np.isnan(found.high).all()


def test_few_of_a_class_have_no_interval() -> None:
    m, _ = margins(4, 40, 2)
    few = np.arange(40) < 4
    for found in (log_loss_game(m, few, Draws(0, "a"), replicates=99),
                  auc_game(m[few], m[~few], Draws(0, "b"), replicates=99)):  # fmt: skip
        assert np.isfinite(found.estimate).all() and np.isnan(found.low).all() and np.isnan(found.high).all()


def test_interactions_are_the_second_differences_averaged() -> None:
    """Grabisch and Roubens 1999, by sets instead of bits; zero for players whose contributions add."""
    p = 4
    v = np.random.default_rng(3).normal(size=1 << p)
    at = lambda players: v[sum(1 << k for k in players)]  # noqa: E731
    for i, j in combinations(range(p), 2):
        rest, want = [k for k in range(p) if k not in (i, j)], 0.0
        for size in range(len(rest) + 1):
            for t in combinations(rest, size):
                weight = factorial(p - size - 2) * factorial(size) / factorial(p - 1)
                want += weight * (at((*t, i, j)) - at((*t, i)) - at((*t, j)) + at(t))
        assert interactions(v)[i, j] == pytest.approx(want, abs=tolerances.FLOAT64_SUM)
    additive = np.array([sum((k + 1.0) for k in range(p) if s >> k & 1) for s in range(1 << p)])
    off = interactions(additive)[~np.eye(p, dtype=bool)]
    assert np.abs(off).max() < tolerances.FLOAT64_SUM


def tables(pair: float) -> tuple[Any, Any, Any]:
    """40 subjects: v(S) = sum of phi over S + pair for the cases where S holds dermis and muscle; dermis is absent in
    the first subject."""
    phi, case = draw_phi(np.random.default_rng(5), subjects=40, effect={6: 1.0})
    phi[0, :, 1] = np.nan
    layers, scans = shapley_tables(phi, case)
    keep = (np.arange(128)[:, None] >> np.arange(7) & 1).astype(float)
    rows = []
    for scan, values in zip(scans, phi.reshape(-1, 7), strict=True):
        extra = pair * (scan["label"] == "case") * keep[:, 1] * keep[:, 6]
        margin = keep @ np.nan_to_num(values) + extra
        own = {"scan_id": scan["scan_id"], "setup": "bmode", **{k: KEY[k] for k in ("model", "member", "fill", "mask")}}
        rows += [{**own, "output": "logit:control", "values": (-0.25 * margin).tolist()},
                 {**own, "output": "logit:case", "values": (0.75 * margin).tolist()}]  # fmt: skip
    return pyarrow.Table.from_pylist(layers), pyarrow.Table.from_pylist(rows), scans


def test_a_planted_interaction_is_found_in_its_pair_alone() -> None:
    layers, coalitions, scans = tables(0.5)
    (found,) = games(layers, coalitions, scans, replicates=199)["games"]
    pairs = {(one["first"], one["second"]): one for one in found["interactions"]}
    assert len(pairs) == 21
    planted = pairs["dermis", "muscle"]
    assert planted["contrast"]["estimate"] == pytest.approx(0.5, abs=tolerances.SHAPLEY_EFFICIENCY)
    assert planted["mean"]["estimate"] == pytest.approx(0.5 * 19 / 39, abs=tolerances.SHAPLEY_EFFICIENCY)
    assert planted["n_subjects"] == 39 and pairs["deep_fat", "muscle"]["n_subjects"] == 40
    others = [one["mean"]["estimate"] for pair, one in pairs.items() if pair != ("dermis", "muscle")]
    assert np.abs(others).max() < tolerances.SHAPLEY_EFFICIENCY


def test_games_of_a_run_add_up_and_name_the_layer() -> None:
    layers, coalitions, scans = tables(0.0)
    result = games(layers, coalitions, scans, replicates=199)
    (found,) = result["games"]
    assert result == games(layers, coalitions, scans, replicates=199)
    for name, sign in (("log_loss", -1), ("auc", 1)):
        part = found[name]
        total = sum(one["estimate"] for one in part["values"])
        assert total == pytest.approx(part["all"]["estimate"] - part["none"]["estimate"], abs=tolerances.FLOAT64_SUM)
        values = {one["region"]: sign * one["estimate"] for one in part["values"]}
        assert max(values, key=values.__getitem__) == "muscle" and set(values) == set(REGIONS)
    none = found["auc"]["none"]
    assert none["estimate"] == 0.5 and none["low"] < 0.4 and none["high"] > 0.6, "all margins alike: a width, still"
    assert (found["n_case"], found["n_control"], found["removes_content"]) == (20, 20, True)


def test_missing_coalitions_are_said() -> None:
    layers, coalitions, scans = tables(0.0)
    with pytest.raises(ValueError, match="coalition values of every scan"):
        games(layers, coalitions.slice(2), scans, replicates=99)
