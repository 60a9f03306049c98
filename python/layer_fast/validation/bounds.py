"""How sure a share is: exact binomial limits, and what remains when cohorts share a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

CONFIDENCE = 0.95


def share(hits: int, of: int) -> dict[str, Any]:
    """hits, of, share and its exact one-sided 95 % limits, lower and upper (Clopper and Pearson 1934); null for of 0.

    Both limits together are a two-sided 90 % interval. Raises ValueError for hits outside 0..of."""
    from scipy.stats import binomtest

    if not 0 <= hits <= of:
        raise ValueError(f"[share] expected 0 <= hits <= {of}, got {hits}")
    if of == 0:
        return {"hits": 0, "of": 0, "share": None, "lower": None, "upper": None}
    low = binomtest(hits, of, alternative="greater").proportion_ci(CONFIDENCE, method="exact").low
    high = binomtest(hits, of, alternative="less").proportion_ci(CONFIDENCE, method="exact").high
    return {"hits": hits, "of": of, "share": hits / of, "lower": float(low), "upper": float(high)}


def clustered(hits: Sequence[int], of: int) -> dict[str, Any]:
    """The same where `of` cohorts each share one of len(hits) models. models_with_any: the share of models with any
    hit, exact; upper: one-sided 95 % limit of the mean rate over models by Student's t, null where all have as many
    hits (mostly none), for then the models show no spread."""
    import numpy as np
    from scipy.stats import t

    rates = np.asarray(hits, np.float64) / of
    out: dict[str, Any] = {"models": len(hits), "models_with_any": share(sum(h > 0 for h in hits), len(hits))}
    out["rate"] = float(rates.mean())
    spread = float(rates.std(ddof=1)) / np.sqrt(len(rates)) if len(rates) > 1 else 0.0
    out["upper"] = float(min(1.0, rates.mean() + t.ppf(CONFIDENCE, len(rates) - 1) * spread)) if spread > 0 else None
    return out


def counted(low: ArrayLike, high: ArrayLike, truth: float) -> dict[str, Any]:
    """How often intervals hold a truth: cohorts, withheld (without limits), covered, coverage with its exact two-sided
    95 % limits low and high (null where all are withheld), below and above (intervals below and above the truth),
    median_width, truth."""
    import numpy as np
    from scipy.stats import binomtest

    a, b = np.asarray(low, np.float64), np.asarray(high, np.float64)
    there = np.isfinite(a) & np.isfinite(b)
    below, above, n = int((b < truth).sum()), int((a > truth).sum()), int(there.sum())
    covered = n - below - above
    exact = binomtest(covered, n).proportion_ci(0.95, method="exact") if n else None
    return {
        "cohorts": len(a), "withheld": len(a) - n, "covered": covered, "coverage": covered / n if n else None,
        "low": float(exact.low) if exact else None, "high": float(exact.high) if exact else None, "below": below,
        "above": above, "median_width": float(np.median((b - a)[there])) if n else None, "truth": float(truth),
    }  # fmt: skip
