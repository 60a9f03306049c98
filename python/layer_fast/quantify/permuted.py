"""The permutation test of `inference.permutation_p` for many columns at once: same draws, same p.

A permutation is a row of weights over subjects, and sums of values and squares run over subjects one after the other,
element by element, instead of gathering every subject's row anew: compare asks for hundreds of columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .draws import Draws
from .inference import MIN_PER_CLASS, difference, statistic, valued
from .stats.resample import TIE, patterns, sums, totals

Float = NDArray[np.float64]
_ZERO = 1e-12  # a spread below this part of the sum of squares is rounding


def permutation_p_of_many(case: Float, control: Float, draws: Draws, *, replicates: int) -> Float:
    """One-sided p of "case mean > control mean" per column of case (n1, C) and control (n0, C), NaN left out: labels of
    subjects permuted, Welch's t compared, p = (1 + #{t* >= t}) / (1 + replicates); (C,).

    NaN where fewer than 5 subjects of a class have a value. Chung and Romano 2013, Annals of Statistics 41:484.
    """
    t = statistic(*difference(case, control))
    out = np.full_like(t, np.nan)
    usable = (np.minimum(valued(case), valued(control)) >= MIN_PER_CLASS) & ~np.isnan(t)
    if not usable.any():
        return out
    both, n1 = np.concatenate([case, control]), len(case)
    is_case = np.zeros((replicates, len(both)))
    np.put_along_axis(is_case, draws.permutations(replicates, len(both))[:, :n1], 1.0, axis=1)
    slack = TIE * np.maximum(1.0, np.abs(np.where(np.isfinite(t), t, 0.0)))
    floor = t - slack
    for rows, columns in patterns(both[:, usable]):
        mine = np.flatnonzero(usable)[columns]
        star = _statistics(both[np.ix_(rows, mine)], is_case[:, rows])
        beyond = ((star >= floor[mine]) | np.isnan(star)).sum(axis=0)  # one without a value counts against the claim
        out[mine] = (1.0 + beyond) / (1.0 + replicates)
    return out


def _statistics(x: Float, is_case: Float) -> Float:
    """Welch's t of complete columns x (n, C) for weights (B, n) of 0 and 1: (B, C); NaN with fewer than two in a
    class."""
    n = len(x)
    y = np.where(np.ptp(x, axis=0) > 0, x - sums(x) / n, 0.0)
    squares = y * y
    s1, q1, n1 = totals(is_case, y), totals(is_case, squares), is_case.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        m1, v1 = _moments(s1, q1, n1)
        m0, v0 = _moments(sums(y) - s1, sums(squares) - q1, n - n1)
        return statistic(m1 - m0, np.sqrt(v1 + v0))


def _moments(s: Float, q: Float, n: Float) -> tuple[Float, Float]:
    mean = s / n
    spread = q - s * mean
    spread = np.where(spread > _ZERO * q, spread, 0.0)
    return mean, np.where(n > 1, spread / (n - 1.0) / n, np.nan)
