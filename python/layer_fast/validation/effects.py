"""Subject effects of known mean and spread, symmetric and skewed, for cohorts made of numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def effects(shape: str, subjects: int, cohorts: int, random: np.random.Generator) -> NDArray[np.float64]:
    """(subjects, cohorts) effects of mean 0 and standard deviation 1; ValueError for an unknown shape."""
    kind, _, text = shape.partition("_")
    size = (subjects, cohorts)
    if kind == "normal":
        return random.standard_normal(size)
    if kind == "gamma":
        k = float(text)
        return np.asarray((random.standard_gamma(k, size) - k) / np.sqrt(k))
    if kind == "lognormal":
        s2 = float(text) ** 2
        sd = np.sqrt((np.exp(s2) - 1.0) * np.exp(s2))
        return np.asarray((np.exp(float(text) * random.standard_normal(size)) - np.exp(s2 / 2.0)) / sd)
    raise ValueError(f"[effects] expected normal, gamma_SHAPE or lognormal_SIGMA, got {shape!r}")
