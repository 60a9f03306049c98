"""AUC of units that lie in clusters: a subject may hold positive and negative ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .frame import grouped_mean
from .logistic import Scans


def clustered_auc(scans: Scans, unit: NDArray[np.int64], confidence: float) -> dict[str, Any]:
    """AUC over the label's units (mean margin of each) with Obuchowski's variance (1997, Biometrics 53:567).

    Units count alike here, whoever they belong to. Limits on the logit scale; none at an AUC of 0 or 1, with a class
    in fewer than two subjects, or where the variance is not positive. unit: (scans,), sorted like the subjects.
    """
    from scipy.special import expit, logit
    from scipy.stats import norm

    many = int(unit.max()) + 1
    first = np.unique(unit, return_index=True)[1]
    score = grouped_mean(scans.margin[:, None], unit, many)[:, 0]
    positive, subject = scans.positive[first], scans.subject[first]
    auc, variance = _obuchowski(score, positive, subject)
    if not 0.0 < auc < 1.0 or not variance > 0.0:
        return {"estimate": auc, "low": np.nan, "high": np.nan}
    half = norm.ppf(0.5 + confidence / 2.0) * np.sqrt(variance) / (auc * (1.0 - auc))
    return {"estimate": auc, "low": float(expit(logit(auc) - half)), "high": float(expit(logit(auc) + half))}


def _obuchowski(
    score: NDArray[np.float64], positive: NDArray[np.bool_], subject: NDArray[np.int64]
) -> tuple[float, float]:
    """AUC and its variance; NaN where a class is empty, a variance of NaN with fewer than two clusters of a class."""
    x, y = score[positive], score[~positive]
    m, n = len(x), len(y)
    if not m or not n:
        return np.nan, np.nan
    wins = (np.searchsorted(np.sort(y), x, "left") + np.searchsorted(np.sort(y), x, "right")) / (2.0 * n)
    losses = 1.0 - (np.searchsorted(np.sort(x), y, "left") + np.searchsorted(np.sort(x), y, "right")) / (2.0 * m)
    auc = float(wins.sum() / m)
    many = int(subject.max()) + 1
    one = np.bincount(subject[positive], weights=wins - auc, minlength=many)
    two = np.bincount(subject[~positive], weights=losses - auc, minlength=many)
    clusters = [len(np.unique(subject[part])) for part in (positive, ~positive)]
    if min(clusters) < 2:
        return auc, np.nan
    every = len(np.unique(subject))
    s10 = clusters[0] / ((clusters[0] - 1.0) * m) * float((one * one).sum())
    s01 = clusters[1] / ((clusters[1] - 1.0) * n) * float((two * two).sum())
    s11 = every / (every - 1.0) * float((one * two).sum())
    return auc, s10 / m + s01 / n + 2.0 * s11 / (m * n)
