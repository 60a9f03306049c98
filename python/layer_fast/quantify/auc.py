"""Area under the ROC curve with the subject as the unit."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

Z_ONE_SIDED = 1.6448536269514722  # 95 % one-sided
Z_TWO_SIDED = 1.959963984540054  # 95 % two-sided


class Auc(NamedTuple):
    """AUC, its two-sided interval, 95 % unless asked otherwise, and its one-sided 95 % lower limit; NaN where a class
    is empty."""

    auc: float
    low: float
    high: float
    lower_limit: float
    n_case: int
    n_control: int


def subject_auc(case: ArrayLike, control: ArrayLike, confidence: float = 0.95) -> Auc:
    """AUC of one score per subject (their mean over scans); ties count one half.

    Limits: Newcombe 2006 (Statistics in Medicine 25:559), method 5: the Hanley-McNeil variance inverted at the limit.
    Chosen over DeLong's because that interval has no width for separated classes, which small cohorts often are.
    """
    a = np.asarray(case, dtype=np.float64)
    b = np.asarray(control, dtype=np.float64)
    a, b = a[~np.isnan(a)], b[~np.isnan(b)]
    if not len(a) or not len(b):
        return Auc(np.nan, np.nan, np.nan, np.nan, len(a), len(b))
    ordered = np.sort(b)
    below, upto = np.searchsorted(ordered, a, "left"), np.searchsorted(ordered, a, "right")
    value = float((below + upto).sum()) / (2.0 * len(a) * len(b))
    z = Z_TWO_SIDED if confidence == 0.95 else NormalDist().inv_cdf(0.5 + 0.5 * confidence)
    low, high = _limit(value, len(a), len(b), z), 1.0 - _limit(1.0 - value, len(a), len(b), z)
    return Auc(value, low, high, _limit(value, len(a), len(b), Z_ONE_SIDED), len(a), len(b))


def _limit(value: float, m: int, n: int, z: float) -> float:
    """Lower limit: the theta below `value` with value - theta = z * se(theta), by bisection to the last bit."""
    low, high = 0.0, value
    for _ in range(200):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        if value - middle > z * _se(middle, m, n):
            low = middle
        else:
            high = middle
    return low


def _se(theta: float, m: int, n: int) -> float:
    extra = (m + n) / 2.0 - 1.0
    var = theta * (1.0 - theta) * (1.0 + extra * (1.0 - theta) / (2.0 - theta) + extra * theta / (1.0 + theta))
    return sqrt(var / (m * n))
