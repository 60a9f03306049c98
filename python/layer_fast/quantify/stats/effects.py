"""Effect sizes with intervals, over columns. They describe; the tests and intervals of the effects stand beside them.

The limits of standardised differences invert the noncentral t distribution: exact for normal values, for two classes
with equal variances (Hedges and Olkin 1985, Statistical Methods for Meta-Analysis, chapter 5; Cumming and Finch 2001).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..auc import subject_auc
from .resample import Float, spread_of

_AT_ONCE = 64  # columns
_LISTED = 13  # subjects; SciPy, too, lists all changes of sign up to here where there are ties or zeros


class Size(NamedTuple):
    """An effect size and its two-sided limits, (C,) each; NaN where there is none."""

    estimate: Float
    low: Float
    high: Float


def hedges_correction(df: float) -> float:
    """J(df), the factor that makes a standardised mean difference unbiased (Hedges 1981)."""
    from scipy.special import gammaln

    return float(np.exp(gammaln(df / 2.0) - gammaln((df - 1.0) / 2.0)) / np.sqrt(df / 2.0))


def hedges_g(case: Float, control: Float, confidence: float = 0.95) -> Size:
    """(mean of case less mean of control) / pooled standard deviation, corrected by J. (n1, C), (n0, C), complete."""
    n1, n0 = len(case), len(control)
    (m1, s1), (m0, s0) = spread_of(case), spread_of(control)
    df = n1 + n0 - 2
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = np.sqrt((np.nan_to_num(s1) ** 2 * n1 * (n1 - 1) + np.nan_to_num(s0) ** 2 * n0 * (n0 - 1)) / df)
        d = (m1 - m0) / pooled
    return _standardised(d, df, np.sqrt(1.0 / n1 + 1.0 / n0), confidence)


def paired_g(x: Float, confidence: float = 0.95) -> Size:
    """Mean / standard deviation of paired differences (n, C), corrected by J (d_z in its unbiased form)."""
    mean, se = spread_of(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        d = mean / (se * np.sqrt(len(x)))
    return _standardised(d, len(x) - 1, 1.0 / np.sqrt(len(x)), confidence)


def _standardised(d: Float, df: int, root: float, confidence: float) -> Size:
    """root: what turns t into d. NaN without a spread or with fewer than 2 degrees of freedom."""
    nothing = np.full_like(d, np.nan)
    if df < 2:
        return Size(nothing, nothing, nothing)
    d = np.where(np.isfinite(d), d, np.nan)
    j, tail = hedges_correction(df), (1.0 - confidence) / 2.0
    t = d / root
    size, sign = np.abs(t), np.where(t < 0, -1.0, 1.0)  # the inverse is made for t >= 0: a negative one is mirrored
    near, far = (j * root * _noncentrality(float(df), q, size) for q in (1.0 - tail, tail))
    return Size(j * d, np.where(sign > 0, near, -far), np.where(sign > 0, far, -near))


def _noncentrality(df: float, q: float, t: Float) -> Float:
    """The noncentrality at which t is the q quantile. SciPy's inverse stops at 1e-6; secant steps finish it."""
    from scipy.special import nctdtr, nctdtrinc

    a = nctdtrinc(df, q, t)
    b = a + 1e-5 * np.maximum(1.0, np.abs(a))
    at_a, at_b = nctdtr(df, a, t) - q, nctdtr(df, b, t) - q
    for _ in range(4):
        with np.errstate(divide="ignore", invalid="ignore"):
            step = at_b * (b - a) / (at_b - at_a)
        a, at_a, b = b, at_b, b - np.where(np.isfinite(step), step, 0.0)
        at_b = nctdtr(df, b, t) - q
    return np.asarray(b)


def cliffs_delta(case: Float, control: Float, confidence: float = 0.95) -> Size:
    """P(case > control) - P(case < control) = 2 AUC - 1 (Cliff 1993); limits by Newcombe's method 5."""
    found = [subject_auc(case[:, i], control[:, i], confidence) for i in range(case.shape[1])]
    return Size(*(np.array([2.0 * getattr(a, name) - 1.0 for a in found]) for name in ("auc", "low", "high")))


def rank_biserial(x: Float) -> Float:
    """(W+ - W-) / (W+ + W-) of the signed ranks of paired differences (n, C), zeros left out (Kerby 2014)."""
    from scipy.stats import rankdata

    there = x != 0
    rank = rankdata(np.where(there, np.abs(x), np.nan), axis=0, nan_policy="omit")
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(there, rank * np.sign(x), 0.0).sum(axis=0) / np.where(there, rank, 0.0).sum(axis=0))


def wilcoxon_p(x: Float) -> Float:
    """Two-sided p of Wilcoxon's signed-rank test per column of paired differences (n, C); NaN if all are 0.

    The p of `scipy.stats.wilcoxon` for each column alone: over all columns of a call it looks for ties and zeros at
    once, so those with and without have calls of their own. Of up to 13 subjects with ties or zeros it would list the
    8192 changes of sign one by one, about a second a column: they are one product of matrices here.
    """
    from scipy.stats import wilcoxon

    out = np.full(x.shape[1], np.nan)
    ordered = np.sort(np.abs(x), axis=0)
    tied = (ordered[:1] == 0).any(axis=0) | (np.diff(ordered, axis=0) == 0).any(axis=0)
    for kind in (tied, ~tied):
        every = np.flatnonzero(kind & (x != 0).any(axis=0))
        for start in range(0, len(every), _AT_ONCE):
            some = every[start : start + _AT_ONCE]
            if kind is tied and len(x) <= _LISTED:
                out[some] = _listed_p(x[:, some])
            else:
                out[some] = wilcoxon(_columns(x, some), axis=0).pvalue[: len(some)]
    return out


def _listed_p(x: Float) -> Float:
    """The same over all changes of sign: zeros have no rank, ties their mid-rank. Doubled ranks are whole numbers."""
    from scipy.stats import rankdata

    zero = x == 0
    ranks = np.where(zero, 0.0, 2 * (rankdata(np.abs(x), axis=0) - zero.sum(axis=0)))
    signs = (np.arange(2 ** len(x))[:, None] >> np.arange(len(x)) & 1).astype(np.float64)
    null, found = signs @ ranks, ((x > 0) * ranks).sum(axis=0)
    return np.asarray(np.minimum(1.0, 2 * np.minimum((null <= found).mean(axis=0), (null >= found).mean(axis=0))))


def _columns(x: Float, some: NDArray[np.int64]) -> Float:
    """Those columns, one alone twice: NumPy would sum it in another order, and its last bits would change."""
    return np.ascontiguousarray(x[:, some if len(some) > 1 else np.repeat(some, 2)])


def welch_p(case: Float, control: Float) -> Float:
    """Two-sided p of Welch's t test per column; NaN without a spread or with fewer than two subjects in a class."""
    from scipy.stats import ttest_ind

    if min(len(case), len(control)) < 2:
        return np.full(case.shape[1], np.nan)
    some = np.flatnonzero((np.ptp(case, axis=0) > 0) | (np.ptp(control, axis=0) > 0))
    out = np.full(case.shape[1], np.nan)
    if len(some):
        p = ttest_ind(_columns(case, some), _columns(control, some), equal_var=False, axis=0).pvalue
        out[some] = p[: len(some)]
    return out
