"""Calibration by logistic regression on the margin, every subject with weight 1, and its subject bootstrap.

Intercept: logit P(y) = a + margin (calibration in the large). Slope: logit P(y) = c + b margin (Cox 1958; Van Calster
et al. 2016, J. Clinical Epidemiology 74:167). 0 and 1 are perfect. Estimates by statsmodels; the resamples by Newton's
method for all of them at once. Errors are sandwiches with the subject as the cluster.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .resample import Float

SEPARATED = "not estimable: the margins separate the classes perfectly"
ONE_CLASS = "not estimable: one class only"
CONSTANT = "not estimable: all margins are equal"
_STEPS, _DONE, _CUT = 100, 1e-10, 3.0
_LOST = 0.01  # of the resamples; more without a value, and there is no interval


@dataclass(frozen=True, slots=True)
class Scans:
    """Scans sorted by subject: (n,) each."""

    margin: Float
    positive: NDArray[np.bool_]
    subject: NDArray[np.int64]  # 0 .. subjects - 1, each with a scan
    weight: Float  # 1 / scans of the subject

    @property
    def starts(self) -> NDArray[np.int64]:
        return np.flatnonzero(np.diff(self.subject, prepend=-1))


def why_not(scans: Scans, slope: bool) -> str:
    """The reason why the model has no finite solution, "" if it has one."""
    if scans.positive.all() or not scans.positive.any():
        return ONE_CLASS
    if not slope:
        return ""
    if np.ptp(scans.margin) == 0:
        return CONSTANT
    high, low = scans.margin[scans.positive], scans.margin[~scans.positive]
    return SEPARATED if low.max() <= high.min() or high.max() <= low.min() else ""


def fit(scans: Scans, slope: bool) -> float:
    """The slope, or the intercept with the slope fixed at 1. Only where `why_not` is empty."""
    from statsmodels.api import GLM, families
    from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

    y, ones = scans.positive.astype(np.float64), np.ones((len(scans.margin), 1))
    design = np.column_stack([ones, scans.margin]) if slope else ones
    offset = None if slope else scans.margin
    model = GLM(y, design, family=families.Binomial(), offset=offset, freq_weights=scans.weight)
    with warnings.catch_warnings():  # it is raised for perfect predictions too, whose intercept is finite
        warnings.simplefilter("ignore", PerfectSeparationWarning)
        return float(model.fit(tol=1e-14, maxiter=200).params[-1])


def refit(scans: Scans, drawn: Float, slope: bool) -> tuple[Float, Float]:
    """Estimate and standard error of every resample; drawn (B, subjects): how often each subject is in it.

    NaN where a resample has no solution.
    """
    out = [_block(scans, np.ascontiguousarray(drawn[i : i + 64].T), slope) for i in range(0, len(drawn), 64)]
    return np.concatenate([o[0] for o in out]), np.concatenate([o[1] for o in out])


def lost_too_many(values: Float) -> bool:
    return bool(np.isnan(values).mean() > _LOST)


def _block(scans: Scans, drawn: Float, slope: bool) -> tuple[Float, Float]:
    """drawn (subjects, B); arrays run over scans first, so that sums add scan by scan."""
    many = drawn.shape[1]
    weight = drawn[scans.subject] * scans.weight[:, None]
    m, y = scans.margin[:, None], scans.positive[:, None].astype(np.float64)
    scale = 1.0
    if slope:  # on standardised margins no step is far
        scale = float(scans.margin.std())
        m = (m - scans.margin.mean()) / scale
    found = ~_without(scans, drawn, slope)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        a, b, done = _newton(weight, m, y, slope, found)
        p = 1.0 / (1.0 + np.exp(-(a + b * m)))
        bread = _bread(weight * p * (1.0 - p), m, slope)
        score = scans.weight[:, None] * (y - p)
        u0, u1 = (np.add.reduceat(u, scans.starts, axis=0) for u in (score, score * m))
        # the row of the inverse bread that belongs to the coefficient, times the score of each subject
        row = _solve(bread, np.zeros(many) if slope else np.ones(many), np.ones(many))
        influence = row[0] * u0 + row[1] * u1
        se = np.sqrt((drawn * influence * influence).sum(axis=0))
    found &= done
    return np.where(found, (b if slope else a) / scale, np.nan), np.where(found, se / scale, np.nan)


def _newton(
    weight: Float, m: Float, y: Float, slope: bool, wanted: NDArray[np.bool_]
) -> tuple[Float, Float, NDArray[np.bool_]]:
    """Intercepts, slopes (B,) and whether they stand still; steps are cut, for a far one may never come back."""
    many = weight.shape[1]
    a, b = np.zeros(many), np.zeros(many) if slope else np.ones(many)
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-(a + b * m)))
        r, v = weight * (y - p), weight * p * (1.0 - p)
        step = _solve(_bread(v, m, slope), r.sum(axis=0), (r * m).sum(axis=0))
        da, db = (np.clip(s, -_CUT, _CUT) for s in step)
        a, b = a + da, b + db
        done = np.maximum(np.abs(da), np.abs(db)) <= _DONE * np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
        if done[wanted].all():
            break
    return a, b, done


def _bread(v: Float, m: Float, slope: bool) -> tuple[Float, Float, Float]:
    h00 = v.sum(axis=0)
    if not slope:
        return h00, np.zeros_like(h00), np.full_like(h00, np.inf)
    vm = v * m
    return h00, vm.sum(axis=0), (vm * m).sum(axis=0)


def _solve(bread: tuple[Float, Float, Float], g0: Float, g1: Float) -> tuple[Float, Float]:
    """The two-by-two system; an infinite last element holds the second unknown at 0."""
    h00, h01, h11 = bread
    if np.isinf(h11).all():
        return g0 / h00, np.zeros_like(g0)
    d = h00 * h11 - h01 * h01
    return (h11 * g0 - h01 * g1) / d, (h00 * g1 - h01 * g0) / d


def _without(scans: Scans, drawn: Float, slope: bool) -> NDArray[np.bool_]:
    """Resamples in which the model has no finite solution: one class, constant or separated margins."""
    there = (drawn > 0)[scans.subject]
    m, y = scans.margin[:, None], scans.positive[:, None]
    low1, high1 = (np.where(there & y, m, fill) for fill in (np.inf, -np.inf))
    low0, high0 = (np.where(there & ~y, m, fill) for fill in (np.inf, -np.inf))
    least1, most1, least0, most0 = low1.min(0), high1.max(0), low0.min(0), high0.max(0)
    one_class = np.isinf(least1) | np.isinf(least0)
    return np.asarray(one_class | (most0 <= least1) | (most1 <= least0) if slope else one_class)
