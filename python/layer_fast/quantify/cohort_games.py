"""Shapley values of the cohort's own figures: how much of its log-loss and AUC each layer's content carries.

The players are the layers, the game's value for a coalition S is a metric over all subjects whose scans keep the own
content of S alone: exact over the 128 coalitions that a run stores. The values of the players add up to metric(all) -
metric(none). A layer in none of a subject's scans changes nothing there and adds 0.
"""

from __future__ import annotations

from math import factorial

import numpy as np
from numpy.typing import NDArray

from .draws import Draws, times_drawn
from .inference import Interval, enough, mean_interval, studentised
from .shapley import players, shapley

Float = NDArray[np.float64]


def log_loss_game(margins: Float, is_case: NDArray[np.bool_], draws: Draws, *, replicates: int,
                  confidence: float = 0.95) -> Interval:  # fmt: skip
    """Shapley values of the mean log-loss (nats) over subjects: (p + 2,), the players, then metric(all), metric(none).

    margins: (subjects, 2**p), log odds of the positive class, each subject's mean over scans; is_case: (subjects,). The
    loss of a subject is log(1 + exp(-m)) for a case and log(1 + exp(m)) for a control. A negative value: the content
    lowers the loss. The metric is a mean over subjects, so its Shapley value is the mean of the subjects' own, with the
    studentised bootstrap over subjects; withheld below 20 subjects or 5 of a class. Where what the layers carry is
    skewed it covers less than it says, 90 to 93 % at 20 and 40 subjects (docs/validation.md).
    """
    sign = np.where(is_case, -1.0, 1.0)[:, None]
    loss = np.logaddexp(0.0, sign * margins)
    each = np.concatenate([shapley(loss), loss[:, [-1, 0]]], axis=1)
    found = mean_interval(each, draws, replicates=replicates, confidence=confidence)
    if enough(is_case.sum(), (~is_case).sum()):
        return found
    return found._replace(low=np.full_like(found.low, np.nan), high=np.full_like(found.high, np.nan))


def auc_game(case: Float, control: Float, draws: Draws, *, replicates: int, confidence: float = 0.95) -> Interval:
    """Shapley values of the AUC over subjects: (p + 2,), the players, then metric(all), metric(none).

    case (m, 2**p), control (n, 2**p): as `margins` above. The AUC is the mean over pairs of 1, 1/2 (tie) or 0, so its
    Shapley value is the mean over pairs of the pair's own. Studentised bootstrap of subjects within each class by
    DeLong's standard error (DeLong et al. 1988, Biometrics 44:837); withheld below 20 subjects or 5 of a class. All
    sums over pairs are of whole numbers, so no order of summation moves a bit. Coverage: docs/validation.md.
    """
    games, unit = _pair_games(case, control)
    m, n = len(case), len(control)
    usable = np.full(len(games), bool(enough(m, n)))
    estimate, se = _delong(games, np.ones((m, 1)), np.ones((n, 1)), unit)
    if not usable.any():
        nothing = np.full(len(games), np.nan)
        return Interval(estimate[0], se[0], nothing, nothing)
    i, j = draws.with_replacement(replicates, m), draws.with_replacement(replicates, n)

    def replicate(rows: slice) -> tuple[Float, Float]:
        return _delong(games, _weights(i[rows], m), _weights(j[rows], n), unit)

    return studentised(estimate[0], se[0], replicate, (m + n) * len(games), replicates, confidence, usable)


def _pair_games(case: Float, control: Float) -> tuple[Float, float]:
    """(p + 2, m, n) whole numbers and the number that stands for 1: 2 p! for the pair's Shapley values and its own
    comparison in the whole and in the empty coalition."""
    p = players(case)
    out = np.zeros((p + 2, len(case), len(control)))
    for s in range(1 << p):
        a, b = case[:, s, None], control[None, :, s]
        wins = 2.0 * (a > b) + (a == b)
        for k in range(p):
            others = (s & ~(1 << k)).bit_count()
            weight = factorial(others) * factorial(p - others - 1)
            out[k] += weight * wins if s >> k & 1 else -weight * wins
        if s in (0, (1 << p) - 1):
            out[p + (s == 0)] = factorial(p) * wins
    return out, 2.0 * factorial(p)


def _weights(index: NDArray[np.int64], size: int) -> Float:
    """(size, rows): how often each subject was drawn."""
    return np.ascontiguousarray(times_drawn(index, size).T).astype(np.float64)


def _delong(games: Float, case: Float, control: Float, unit: float) -> tuple[Float, Float]:
    """Mean over pairs and its standard error, (rows, games) each; case (m, rows), control (n, rows): weights."""
    m, n = len(case), len(control)
    means, errors = [], []
    for game in games:
        sums = game @ control  # (m, rows)
        by_case, by_control = sums / (n * unit), game.T @ case / (m * unit)
        mean = (sums * case).sum(axis=0) / (m * n * unit)
        with np.errstate(divide="ignore", invalid="ignore"):
            v1 = (case * (by_case - mean) ** 2).sum(axis=0) / (m - 1.0) / m
            v0 = (control * (by_control - mean) ** 2).sum(axis=0) / (n - 1.0) / n
        means.append(mean)
        errors.append(np.sqrt(v1 + v0))
    return np.stack(means, axis=-1), np.stack(errors, axis=-1)

