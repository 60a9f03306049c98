"""Inference with the subject as the unit: studentised bootstrap intervals, studentised permutation tests, Holm.

Why these: percentile bootstrap intervals cover 92/88 % (normal / skewed) at 20 subjects, studentised ones 94/92 %.
A permutation test of the class labels is exact when the classes are exchangeable, and studentised by Welch's
standard error it stays valid for a difference of means when only the means are equal (Chung and Romano 2013,
Annals of Statistics 41:484). Sums run over subjects in a fixed order, element by element, so that results do not
depend on threads or instruction set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .draws import Draws

Float = NDArray[np.float64]
MIN_SUBJECTS = 20  # below: intervals and claims are withheld
MIN_PER_CLASS = 5  # below: a class has too few distinct resamples to studentise by
ENOUGH = f">= {MIN_SUBJECTS} subjects, each class >= {MIN_PER_CLASS}"
_CHUNK = 2_000_000  # numbers held per block of replicates
_TIE = 1e-12  # relative slack when a permuted statistic is compared with the observed one (order of summation)


class Interval(NamedTuple):
    """Estimate with a two-sided interval; each an array over the columns. NaN where withheld or without a value."""

    estimate: Float
    se: Float
    low: Float
    high: Float


def enough(case: ArrayLike, control: ArrayLike) -> NDArray[np.bool_]:
    """Whether so many subjects, those with a value, suffice for an interval and a claim."""
    n1, n0 = np.asarray(case), np.asarray(control)
    return np.asarray((n1 + n0 >= MIN_SUBJECTS) & (np.minimum(n1, n0) >= MIN_PER_CLASS))


def valued(x: Float) -> NDArray[np.int64]:
    """Subjects with a value, per column: a subject without the layer does not count."""
    return np.asarray((~np.isnan(x)).sum(axis=0))


def moments(x: Float) -> tuple[Float, Float]:
    """Mean over axis -2 (subjects), NaN left out, and its squared standard error (ddof 1; NaN for fewer than two)."""
    there = ~np.isnan(x)
    if x.shape[-2] > 1 and there.all():  # the same sums without the passes over what is missing
        whole = float(x.shape[-2])
        middle = x.sum(axis=-2) / whole
        apart = x - middle[..., None, :]
        apart *= apart
        return middle, apart.sum(axis=-2) / (whole - 1.0) / whole
    n = there.sum(axis=-2).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(there, x, 0.0).sum(axis=-2) / n
        spread = np.where(there, x - mean[..., None, :], 0.0)
        var = (spread * spread).sum(axis=-2) / (n - 1.0)
        return mean, np.where(n > 1, var / n, np.nan)


def difference(case: Float, control: Float) -> tuple[Float, Float]:
    """Difference of the means over subjects, (..., n, R) each, and Welch's standard error."""
    m1, v1 = moments(case)
    m0, v0 = moments(control)
    return m1 - m0, np.sqrt(v1 + v0)


def statistic(estimate: Float, se: Float) -> Float:
    """estimate / se with 0/0 = 0 and x/0 = signed infinity: a constant that differs is infinitely clear."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t = estimate / se
    return np.where((estimate == 0) & (se == 0), 0.0, t)


def mean_interval(x: Float, draws: Draws, *, replicates: int, confidence: float = 0.95) -> Interval:
    """Equal-subject mean of x (n subjects, R columns) with a studentised bootstrap interval.

    Withheld where fewer than 20 subjects have a value in the column.
    """
    estimate, v = moments(x)
    index = draws.with_replacement(replicates, len(x)) if len(x) else np.zeros((0, 0), np.int64)

    def replicate(rows: slice) -> tuple[Float, Float]:
        m, var = moments(x[index[rows]])
        return m, np.sqrt(var)

    usable = valued(x) >= MIN_SUBJECTS
    return studentised(estimate, np.sqrt(v), replicate, x.size, replicates, confidence, usable)


def difference_interval(
    case: Float, control: Float, draws: Draws, *, replicates: int, confidence: float = 0.95
) -> Interval:
    """Class contrast with a studentised bootstrap interval: subjects are drawn within each class.

    Withheld where fewer than 20 subjects, or 5 of a class, have a value in the column.
    """
    estimate, se = difference(case, control)
    n1, n0 = len(case), len(control)
    usable = enough(valued(case), valued(control))
    if not usable.any():
        return Interval(estimate, se, np.full_like(estimate, np.nan), np.full_like(estimate, np.nan))
    i1, i0 = draws.with_replacement(replicates, n1), draws.with_replacement(replicates, n0)

    def replicate(rows: slice) -> tuple[Float, Float]:
        return difference(case[i1[rows]], control[i0[rows]])

    return studentised(estimate, se, replicate, case.size + control.size, replicates, confidence, usable)


def permutation_p(case: Float, control: Float, draws: Draws, *, replicates: int) -> Float:
    """One-sided p of "case mean > control mean" per column: labels of subjects permuted, Welch's t compared.

    p = (1 + #{t* >= t}) / (1 + replicates); NaN where fewer than 5 subjects of a class have a value.
    """
    t = statistic(*difference(case, control))
    thin = np.minimum(valued(case), valued(control)) < MIN_PER_CLASS
    if thin.all():
        return np.full_like(t, np.nan)
    both, n1 = np.concatenate([case, control]), len(case)
    order = draws.permutations(replicates, len(both))
    floor = np.where(np.isfinite(t), t - _TIE * np.maximum(1.0, np.abs(t)), t)
    count = np.zeros(t.shape)
    for rows in _blocks(both.size, replicates):
        permuted = statistic(*difference(both[order[rows, :n1]], both[order[rows, n1:]]))
        # a permuted statistic without a value counts against the claim
        count += ((permuted >= floor) | np.isnan(permuted)).sum(axis=0)
    return np.where(thin | np.isnan(t), np.nan, (1.0 + count) / (1.0 + replicates))


def holm(p: Float) -> Float:
    """Holm's adjusted p values (1979); a NaN counts as one of the tests, with p = 1."""
    raw = np.where(np.isnan(p), 1.0, p)
    order = np.argsort(raw, kind="stable")
    adjusted = np.minimum(1.0, np.maximum.accumulate(raw[order] * (len(raw) - np.arange(len(raw)))))
    out = np.empty_like(adjusted)
    out[order] = adjusted
    return out


def studentised(
    estimate: Float, se: Float, replicate: Callable[[slice], tuple[Float, Float]], size: int, replicates: int,
    confidence: float, usable: NDArray[np.bool_],
) -> Interval:
    """Studentised bootstrap interval (Davison and Hinkley 1997, section 5.2) of `estimate` with standard error `se`.

    replicate(rows) gives estimates and standard errors (rows, *columns) of those replicates; size: numbers that one
    replicate holds, which bounds the memory; NaN where a column is not usable.
    """
    nothing = np.full_like(estimate, np.nan)
    if not usable.any():
        return Interval(estimate, se, nothing, nothing)
    t = np.empty((replicates, *estimate.shape))
    for rows in _blocks(size, replicates):
        m, s = replicate(rows)
        t[rows] = statistic(m - estimate, s)
    t.sort(axis=0)  # NaN last: a column with NaN replicates has no interval
    tail = tail_of(replicates, confidence)
    bad = np.isnan(t[-1])
    with np.errstate(invalid="ignore"):
        low, high = estimate - t[-tail] * se, estimate - t[tail - 1] * se
    exact = se == 0  # no spread between subjects: every resample gives the estimate
    low, high = np.where(exact, estimate, low), np.where(exact, estimate, high)
    bad = (bad | ~np.isfinite(low) | ~np.isfinite(high)) & ~exact | ~usable
    return Interval(estimate, se, np.where(bad, np.nan, low), np.where(bad, np.nan, high))


def tail_of(replicates: int, confidence: float) -> int:
    """Which of so many sorted values, counted from either end, is a two-sided limit; ValueError for too few of them."""
    tail = int((replicates + 1) * (1.0 - confidence) / 2.0 * (1.0 + 1e-12))  # 1 - 0.9 is a little less than 0.1
    if tail < 1:
        raise ValueError(f"[interval] expected enough replicates for confidence {confidence}, got {replicates}")
    return tail


def _blocks(size: int, replicates: int) -> list[slice]:
    step = max(1, _CHUNK // max(1, size))
    return [slice(start, min(start + step, replicates)) for start in range(0, replicates, step)]
