"""Class differences whose labels are permuted inside exchangeability blocks: subjects within sites, units within
subjects. A block in which all labels are equal adds nothing, as it must.

The difference between classes of subjects is the class coefficient of a linear model with one intercept per site, with
the HC2 error (MacKinnon and White 1985, J. Econometrics 29:305): with one site it is the difference of the means with
Welch's error. The difference within subjects is the mean of one difference per subject with its standard error.
Studentised, so that a test of equal means stays valid when variances differ (Chung and Romano 2013, Annals of
Statistics 41:484); two-sided.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..draws import Draws
from ..inference import statistic
from .resample import TIE, Float, sums, totals

Bools = NDArray[np.bool_]
Codes = NDArray[np.int64]


class Effect(NamedTuple):
    """Estimate and squared standard error, (..., C) each."""

    estimate: Float
    v: Float


def shuffled(labels: Bools, block: Codes, draws: Draws, replicates: int) -> Float:
    """(replicates, n): labels (n,) permuted inside each block (n,), as 0.0 and 1.0."""
    n = len(labels)
    home = np.argsort(block, kind="stable")
    keys = draws.permutations(replicates, n)  # all different
    order = np.argsort(block[home] * n + keys, axis=1, kind="stable")
    out = np.empty((replicates, n))
    out[:, home] = labels[home][order]
    return out


def centred(x: Float, block: Codes) -> Float:
    """x (n, ...) less its mean over each block (n,)."""
    out = np.array(x, dtype=np.float64)
    for code in np.unique(block):
        rows = block == code
        part = out[rows]
        constant = np.ptp(part, axis=0) == 0
        out[rows] = np.where(constant, 0.0, part - sums(part) / len(part))
    return out


def between(x: Float, labels: Float, block: Codes) -> Effect:
    """Class coefficient given the blocks, for labels (B, n) of 0 and 1 and x (n, C): (B, C) each.

    NaN where no block holds both classes, and where a class has one subject only (its error is unknown).
    """
    y = centred(x, block)
    z = centred(labels.T, block).T
    size = np.array([(block == code).sum() for code in block], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        szz = (z * z).sum(axis=1, keepdims=True)
        left = 1.0 - 1.0 / size - z * z / szz  # 1 less the leverage
        weight = np.where(z == 0, 0.0, z * z / np.where(left > 1e-9, left, np.nan))
        estimate = totals(z, y) / szz
        v = totals(weight, y * y) - 2.0 * estimate * totals(weight * z, y)
        v += estimate * estimate * (weight * z * z).sum(axis=1, keepdims=True)
        scale = totals(weight, y * y)
        return Effect(estimate, np.where(v > 1e-12 * scale, v, np.where(np.isnan(v), np.nan, 0.0)) / (szz * szz))


def within_differences(x: Float, labels: Float, subject: Codes) -> list[Float]:
    """Per subject, mean of its labelled units less mean of the others, (B, C) each, in the order of the codes.

    x (units, C), labels (B, units) with both classes in every subject (units,).
    """
    out = []
    for code in np.unique(subject):
        rows = np.flatnonzero(subject == code)
        z = labels[:, rows]
        n1 = z.sum(axis=1, keepdims=True)
        part = x[rows] - sums(x[rows]) / len(rows)
        out.append(totals(z / n1 - (1.0 - z) / (len(rows) - n1), part))
    return out


def within(x: Float, labels: Float, subject: Codes) -> Effect:
    """Mean over subjects of `within_differences` and its squared standard error."""
    each = within_differences(x, labels, subject)
    total, square = np.zeros_like(each[0]), np.zeros_like(each[0])
    for d in each:
        total += d
        square += d * d
    n = float(len(each))
    mean = total / n
    spread = square - n * mean * mean
    with np.errstate(divide="ignore", invalid="ignore"):
        return Effect(mean, np.where(spread > 1e-12 * square, spread, 0.0) / (n * (n - 1.0)))


def joined(first: Effect, second: Effect) -> Effect:
    """The two weighted by their inverse variances: one effect, if it is the same between and within subjects.

    As one error goes to 0, its effect alone is left; of two without error the middle is taken.
    """
    both = first.v + second.v
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(both == 0, 0.5, second.v / both)
        v = np.where(both == 0, 0.0, first.v * second.v / both)
    return Effect(weight * first.estimate + (1.0 - weight) * second.estimate, v)


def two_sided_p(observed: Effect, permuted: Effect) -> Float:
    """(1 + #{|t*| >= |t|}) / (1 + B), NaN where t has no value; a permuted t without one counts against the effect."""
    t = np.abs(statistic(observed.estimate, np.sqrt(observed.v)))
    star = np.abs(statistic(permuted.estimate, np.sqrt(permuted.v)))
    floor = np.where(np.isfinite(t), t * (1.0 - TIE), t)
    beyond = ((star >= floor) | np.isnan(star)).sum(axis=0)
    return np.where(np.isnan(t), np.nan, (1.0 + beyond) / (1.0 + len(star)))
