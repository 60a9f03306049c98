"""Coverage of the intervals that are no intervals of plain means, each against a truth from fresh subjects.

- rank: Spearman's rho and Kendall's tau b of subjects' margins with four ordered levels (`quantify.rank_correlation`).
- joined: the class contrast of sides, joined from between and within subjects (`stats.classes.contrasts`).
- games: Shapley values of the cohort's AUC and log-loss, of players that carry much, a little and nothing, and the
  metrics of the whole (`quantify.cohort_games`; the AUC of all has Newcombe's limits, as in games.json).
- calibration: intercept and slope, subjects drawn whatever their class (`stats.calibration`).

No goal is asked here: the page says where the coverage lies outside the goal of the means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..quantify import rank_correlation, subject_auc
from ..quantify.cohort_games import auc_game, log_loss_game
from ..quantify.draws import Draws
from ..quantify.stats.calibration import coefficient
from ..quantify.stats.classes import Labels, contrasts
from ..quantify.stats.logistic import Scans, fit
from ..quantify.stats.resample import Plan
from .bounds import counted
from .effects import effects

Float = NDArray[np.float64]
Limits = dict[str, tuple[float, float]]
FRESH = 200_000
REPLICATES = {"rank": 399, "joined": 999, "games": 399, "calibration": 399}
SETTINGS: dict[bool, dict[str, Any]] = {
    False: {"cohorts": 2000, "fresh": FRESH, "replicates": REPLICATES},
    True: {"cohorts": 60, "fresh": 20_000, "replicates": dict.fromkeys(REPLICATES, 199)},
}
SHIFT, SIDE_SD, LEVELS = 0.5, 0.5, 4
PLAYERS = ("much", "little", "none")  # their class shift in SD: 1.2, 0.4 and 0, each times the cell's size
CARRIED = np.array([1.2, 0.4, 0.0])
_TOGETHER = 40  # cohorts of `joined` that share the draws of one bootstrap


class Kind(NamedTuple):
    """size: slope of the score over levels, or what multiplies `CARRIED`; unused else. people: subjects, for `joined`
    cases, controls and those of both classes."""

    kind: str
    shape: str
    size: float
    people: tuple[int, ...]

    @property
    def name(self) -> str:
        size = "" if self.kind in ("joined", "calibration") else f" {self.size:g}"
        return f"{self.kind}{size}/{self.shape}/{'+'.join(map(str, self.people))}"


def kinds(quick: bool) -> dict[str, Kind]:
    """Every cell by its name; quick: one of each kind."""
    ns = ((40,),) if quick else ((20,), (40,), (130,))
    parts = ((14, 14, 12),) if quick else ((8, 7, 5), (14, 14, 12), (6, 6, 48), (48, 48, 6), (45, 45, 40))
    ranks = ((0.5, "normal"),) if quick else ((0.0, "normal"), (0.5, "normal"), (1.5, "normal"), (0.5, "gamma_1"))
    sizes = ((1.0, "normal"),) if quick else ((1.0, "normal"), (2.0, "normal"), (1.0, "gamma_1"))
    shapes = ("normal",) if quick else ("normal", "gamma_1")
    found = [
        *(Kind("rank", shape, slope, n) for slope, shape in ranks for n in ns),
        *(Kind("joined", shape, 1.0, people) for shape in shapes for people in parts),
        *(Kind("games", shape, size, n) for size, shape in sizes for n in ns),
        *(Kind("calibration", "normal", 1.0, n) for n in ns),
    ]
    return {one.name: one for one in found}


def known(held: Any, quick: bool) -> dict[str, Any]:
    """What a file holds of these cells, nothing where it was made with other settings."""
    settings = SETTINGS[quick]
    cells = dict(held["cells"]) if held and held.get("settings") == settings else {}
    return {"settings": settings, "cells": {name: cells[name] for name in kinds(quick) if name in cells}}


def missing(held: dict[str, Any], quick: bool) -> list[str]:
    return [name for name in kinds(quick) if name not in held["cells"]]


def coverage(name: str, quick: bool) -> dict[str, Any]:
    """{"kind", "shape", "size", "people", "quantities": {name: `bounds.counted`}} of one cell."""
    one, settings = kinds(quick)[name], SETTINGS[quick]
    truth_of, limits_of = _KINDS[one.kind]
    random = np.random.Generator(np.random.PCG64(list(map(ord, name))))
    truth = truth_of(one, settings["fresh"], np.random.Generator(np.random.PCG64([11, *map(ord, name)])))
    found = list(limits_of(one, settings["cohorts"], settings["replicates"][one.kind], random))
    quantities = {q: counted([f[q][0] for f in found], [f[q][1] for f in found], value) for q, value in truth.items()}
    return {**one._asdict(), "people": list(one.people), "quantities": quantities}


def _levels(one: Kind, n: int, random: np.random.Generator) -> tuple[Float, NDArray[np.int64]]:
    level = random.integers(0, LEVELS, n)
    return one.size * level + effects(one.shape, n, 1, random)[:, 0], level


def _rank_truth(one: Kind, fresh: int, random: np.random.Generator) -> dict[str, float]:
    from scipy.stats import kendalltau, spearmanr

    score, level = _levels(one, fresh, random)
    if not one.size:
        return {"spearman": 0.0, "kendall_tau_b": 0.0}
    return {"spearman": float(spearmanr(score, level).statistic),
            "kendall_tau_b": float(kendalltau(score, level).statistic)}  # fmt: skip


def _rank_limits(one: Kind, cohorts: int, replicates: int, random: np.random.Generator) -> Iterator[Limits]:
    for i in range(cohorts):
        got = rank_correlation(*_levels(one, one.people[0], random), Draws(i, one.name), replicates=replicates)
        yield {q: (got[q]["low"], got[q]["high"]) for q in ("spearman", "kendall_tau_b")}


def _joined_truth(one: Kind, fresh: int, random: np.random.Generator) -> dict[str, float]:
    """Both parts have the mean effect `SHIFT`; what the fresh subjects say must lie beside it."""
    own = SHIFT + 0.5 * effects(one.shape, fresh, 1, random)
    if abs(own.mean() - SHIFT) > 5.0 * own.std() / np.sqrt(fresh):
        raise ValueError(f"[coverage] expected a mean of {SHIFT:g}, got {own.mean():g} of {fresh} fresh subjects")
    return {"contrast": SHIFT}


def _joined_limits(one: Kind, cohorts: int, replicates: int, random: np.random.Generator) -> Iterator[Limits]:
    """Two sides a subject; an effect differs between people by half an SD."""
    a, b, both = one.people
    subject = np.repeat(np.arange(sum(one.people)), 2)
    positive = np.concatenate([np.ones(2 * a, bool), np.zeros(2 * b, bool), np.tile([True, False], both)])
    who = Labels(subject, positive, np.zeros(len(subject), np.int64))
    for start in range(0, cohorts, _TOGETHER):
        many = min(_TOGETHER, cohorts - start)
        person = effects(one.shape, sum(one.people), many, random)
        own = SHIFT + 0.5 * effects(one.shape, sum(one.people), many, random)
        x = person[subject] + positive[:, None] * own[subject]
        x += SIDE_SD * effects(one.shape, len(subject), many, random)
        got = contrasts(x, who, Plan(start, replicates)).interval
        yield from ({"contrast": pair} for pair in zip(got.low.tolist(), got.high.tolist(), strict=True))


def _coalitions(one: Kind, n: int, random: np.random.Generator) -> tuple[Float, NDArray[np.bool_]]:
    """(n, 8) margins: what no player carries, the players' own numbers, and two players that share a part."""
    is_case = np.arange(n) % 2 == 0
    x = np.stack([effects(one.shape, n, 1, random)[:, 0] for _ in PLAYERS], axis=1)
    x += one.size * CARRIED * (is_case[:, None] - 0.5)
    keep = (np.arange(8)[:, None] >> np.arange(3) & 1).astype(np.float64)
    base = 0.3 * effects(one.shape, n, 1, random)
    return base + x @ keep.T + 0.3 * np.tanh(x[:, [0]] * x[:, [1]]) * keep[:, 0] * keep[:, 1], is_case


def _game_truth(one: Kind, fresh: int, random: np.random.Generator) -> dict[str, float]:
    """Shapley values of three players written out, of the metrics of fresh subjects."""
    from scipy.stats import rankdata

    margins, is_case = _coalitions(one, fresh, random)
    n1, n0 = int(is_case.sum()), int((~is_case).sum())
    sign = np.where(is_case, -1.0, 1.0)
    ranks = [rankdata(margins[:, s])[is_case].sum() for s in range(8)]
    games = {
        "auc": [float(r - n1 * (n1 + 1) / 2) / (n1 * n0) for r in ranks],
        "log_loss": [float(np.logaddexp(0.0, sign * margins[:, s]).mean()) for s in range(8)],
    }
    out = {}
    for name, v in games.items():
        for k, player in enumerate(PLAYERS):
            i, j = (1 << other for other in range(3) if other != k)
            own = 1 << k
            alone, last = v[own] - v[0], v[7] - v[i | j]
            second = v[own | i] - v[i] + v[own | j] - v[j]
            out[f"{name}, {player}"] = alone / 3 + second / 6 + last / 3
        out[f"{name}, all"] = v[7]
    return out


def _game_limits(one: Kind, cohorts: int, replicates: int, random: np.random.Generator) -> Iterator[Limits]:
    for i in range(cohorts):
        m, is_case = _coalitions(one, one.people[0], random)
        area = auc_game(m[is_case], m[~is_case], Draws(i, one.name, "auc"), replicates=replicates)
        loss = log_loss_game(m, is_case, Draws(i, one.name, "loss"), replicates=replicates)
        whole = subject_auc(m[is_case, 7], m[~is_case, 7])
        out = {f"auc, {p}": (area.low[k], area.high[k]) for k, p in enumerate(PLAYERS)}
        out |= {f"log_loss, {p}": (loss.low[k], loss.high[k]) for k, p in enumerate((*PLAYERS, "all"))}
        yield {**out, "auc, all": (whole.low, whole.high)}


def _probabilities(n: int, random: np.random.Generator) -> Scans:
    """Two scans a subject with one label, which follows a margin that is too sure of itself."""
    subject = np.repeat(np.arange(n), 2)
    margin = random.normal(0.0, 1.5, n)[subject] + random.normal(0.0, 0.5, 2 * n)
    positive = random.random(n) < 1.0 / (1.0 + np.exp(0.4 - 0.7 * margin.reshape(n, 2).mean(axis=1)))
    return Scans(margin, positive[subject], subject, np.full(2 * n, 0.5))


def _calibration_truth(one: Kind, fresh: int, random: np.random.Generator) -> dict[str, float]:
    scans = _probabilities(fresh, random)
    return {"intercept": fit(scans, False), "slope": fit(scans, True)}


def _calibration_limits(one: Kind, cohorts: int, replicates: int, random: np.random.Generator) -> Iterator[Limits]:
    for i in range(cohorts):
        scans = _probabilities(one.people[0], random)
        case = scans.positive[::2]
        out = {}
        for name, slope in (("intercept", False), ("slope", True)):
            got = coefficient(scans, (case, ~case), Plan(i, replicates), slope=slope)
            out[name] = got["low"], got["high"]
        yield out


_KINDS: dict[str, tuple[Callable[..., dict[str, float]], Callable[..., Iterator[Limits]]]] = {
    "rank": (_rank_truth, _rank_limits), "joined": (_joined_truth, _joined_limits),
    "games": (_game_truth, _game_limits), "calibration": (_calibration_truth, _calibration_limits),
}  # fmt: skip
