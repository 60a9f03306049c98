"""Many columns through one set of resamples: studentised bootstrap and sign flips over subjects.

Same methods as `quantify.inference`, written for thousands of columns (cells x regions) at once: a resample is a row of
weights over subjects, and sums run over subjects one after the other, element by element, so that results do not
depend on threads or instruction set. Columns hold no NaN here; `patterns` splits a matrix by who has a value. A
column's draws depend on the seed, the purpose and the number of subjects alone, never on the other columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..draws import Draws, times_drawn
from ..inference import MIN_PER_CLASS, MIN_SUBJECTS, Interval, enough, statistic, tail_of

Float = NDArray[np.float64]
TIE = 1e-9  # relative slack of a permuted statistic: its sums run in another order than the observed one's
_ZERO = 1e-12  # a spread below this part of the sum of squares is rounding
_COLUMNS, _REPLICATES = 256, 256  # of one block, which stays in the processor's cache


class Plan(NamedTuple):
    """How often and by which draws; `replicates` resamples, two-sided `confidence`."""

    seed: int = 0
    replicates: int = 1999
    confidence: float = 0.95

    def draws(self, purpose: str, *numbers: int) -> Draws:
        return Draws(self.seed, "stats", purpose, *map(str, numbers))


def patterns(x: Float) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Split x (n, C) by which rows have a value: (rows with a value, columns), columns without any left out."""
    packed = np.packbits(~np.isnan(x), axis=0).T
    if not packed.size:
        return
    _, first, which = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    for group, column in enumerate(first):
        rows = np.flatnonzero(~np.isnan(x[:, column]))
        if len(rows):
            yield rows, np.flatnonzero(which.reshape(-1) == group)


def sums(x: Float) -> Float:
    """Sums over the rows of x (n, C), row after row. A sum of one column alone would be pairwise, its last bits others:
    a column's numbers must not depend on how many stand beside it."""
    return np.asarray(np.add.accumulate(x, axis=0)[-1])


def totals(weights: Float, x: Float) -> Float:
    """weights (B, n) times x (n, C), subjects added in their order: (B, C)."""
    out = np.zeros((len(weights), x.shape[1]))
    for top in range(0, len(weights), _REPLICATES):
        columns = np.ascontiguousarray(weights[top : top + _REPLICATES].T)[:, :, None]
        for left in range(0, x.shape[1], _COLUMNS):
            part = x[:, left : left + _COLUMNS]
            sums = np.zeros((columns.shape[1], part.shape[1]))
            product = np.empty_like(sums)
            for weight, row in zip(columns, part, strict=True):
                np.multiply(weight, row, out=product)
                sums += product
            out[top : top + _REPLICATES, left : left + _COLUMNS] = sums
    return out


def counts(draws: Draws, replicates: int, n: int) -> Float:
    """(replicates, n): how often each of n subjects is drawn, with replacement."""
    return times_drawn(draws.with_replacement(replicates, n), n).astype(np.float64)


def resampled(x: Float, draws: Draws, replicates: int) -> tuple[Float, Float]:
    """Mean less the observed mean, and its squared standard error, of every resample of x (n, C): (B, C) each."""
    n = len(x)
    centred = np.where(np.ptp(x, axis=0) > 0, x - sums(x) / n, 0.0)
    weights = counts(draws, replicates, n)
    mean, square = totals(weights, centred) / n, totals(weights, centred * centred)
    spread = square - n * mean * mean
    return mean, np.where(spread > _ZERO * square, spread, 0.0) / (n * (n - 1.0))


def limits(t: Float, estimate: Float, se: Float, confidence: float) -> tuple[Float, Float]:
    """Studentised limits (Davison and Hinkley 1997, section 5.2) from t (B, C); NaN where a resample has no t."""
    tail = tail_of(len(t), confidence)
    ordered = np.sort(t, axis=0)
    with np.errstate(invalid="ignore"):
        low, high = estimate - ordered[-tail] * se, estimate - ordered[tail - 1] * se
    low, high = np.where(se == 0, estimate, low), np.where(se == 0, estimate, high)
    bad = ~(np.isfinite(low) & np.isfinite(high)) | (np.isnan(ordered[-1]) & (se != 0))
    return np.where(bad, np.nan, low), np.where(bad, np.nan, high)


def empty(columns: int) -> Interval:
    """An interval of NaN for so many columns."""
    return Interval(*(np.full(columns, np.nan) for _ in range(4)))


def spread_of(x: Float) -> tuple[Float, Float]:
    """Mean and standard error of complete columns; the error of a constant column is exactly 0."""
    n = len(x)
    constant = np.ptp(x, axis=0) == 0
    mean = np.where(constant, x[0], sums(x) / n)
    if n < 2:
        return mean, np.full_like(mean, np.nan)
    return mean, np.where(constant, 0.0, np.sqrt(sums((x - mean) ** 2) / (n * (n - 1.0))))


def mean_of(x: Float, plan: Plan) -> Interval:
    """Equal-subject mean of complete columns x (n, C); limits withheld below 20 subjects."""
    mean, se = spread_of(x)
    if len(x) < MIN_SUBJECTS:
        return Interval(mean, se, *(np.full_like(mean, np.nan) for _ in range(2)))
    shift, v = resampled(x, plan.draws("mean", len(x)), plan.replicates)
    return Interval(mean, se, *limits(statistic(shift, np.sqrt(v)), mean, se, plan.confidence))


def difference_of(case: Float, control: Float, plan: Plan) -> Interval:
    """Mean of case (n1, C) less mean of control (n0, C); limits withheld below 20 subjects or 5 of a class."""
    (m1, s1), (m0, s0) = spread_of(case), spread_of(control)
    estimate, se = m1 - m0, np.sqrt(s1 * s1 + s0 * s0)
    if not enough(len(case), len(control)):
        return Interval(estimate, se, *(np.full_like(estimate, np.nan) for _ in range(2)))
    d1, v1 = resampled(case, plan.draws("case", len(case)), plan.replicates)
    d0, v0 = resampled(control, plan.draws("control", len(control)), plan.replicates)
    return Interval(estimate, se, *limits(statistic(d1 - d0, np.sqrt(v1 + v0)), estimate, se, plan.confidence))


def means(x: Float, plan: Plan) -> tuple[Interval, NDArray[np.int64]]:
    """`mean_of` for columns with NaN, and the number of subjects with a value."""
    out = empty(x.shape[1])
    for rows, columns in patterns(x):
        for part, found in zip(out, mean_of(x[np.ix_(rows, columns)], plan), strict=True):
            part[columns] = found
    return out, (~np.isnan(x)).sum(axis=0)


def differences(x: Float, is_case: NDArray[np.bool_], plan: Plan) -> Interval:
    """`difference_of` for columns x (n, C) with NaN; is_case (n,)."""
    out = empty(x.shape[1])
    for rows, columns in patterns(x):
        part = x[np.ix_(rows, columns)]
        case = is_case[rows]
        if case.any() and not case.all():
            for mine, found in zip(out, difference_of(part[case], part[~case], plan), strict=True):
                mine[columns] = found
    return out


def sign_flip_p(x: Float, plan: Plan) -> Float:
    """Two-sided p of "mean of the paired differences x (n, C) is 0", complete columns: signs of subjects flipped.

    Exact when differences are symmetric about 0. The mean orders the flips as its studentised form does, for their sum
    of squares is fixed. Every flip where there are no more than 1 + replicates of them, p = # / 2^n; else
    p = (1 + #) / (1 + replicates). NaN below 5 subjects.
    """
    n = len(x)
    if n < MIN_PER_CLASS:
        return np.full(x.shape[1], np.nan)
    every = 2**n <= 1 + plan.replicates
    if every:
        minus = np.arange(2**n)[:, None] >> np.arange(n) & 1
    else:
        minus = plan.draws("flip", n).with_replacement(plan.replicates, 2 * n)[:, :n] % 2
    signs = np.where(minus == 1, -1.0, 1.0)
    observed = np.abs(totals(np.ones((1, n)), x)[0])
    size = np.abs(x).sum(axis=0)
    beyond = (np.abs(totals(signs, x)) >= observed - TIE * size).sum(axis=0)
    return np.asarray(beyond / 2.0**n if every else (1.0 + beyond) / (1.0 + plan.replicates))
