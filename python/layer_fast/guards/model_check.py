"""Parameter randomisation of a run's classifiers on a few of its scans, as plain rows for randomisation.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models import ModelPackage
from .package_maps import METHODS, map_function
from .randomisation import HARDLY, Randomisation, randomisation

SCANS = 4  # of a cohort; the maps of a few scans tell as much as those of all


def randomisation_rows(
    package: ModelPackage,
    images: Sequence[NDArray[np.float32]],
    masks: Sequence[NDArray[np.uint8]],
    methods: Sequence[str],
    engine: str,
) -> list[dict[str, Any]]:
    """One row per map method of `methods` that is a single call of the graph (`package_maps.METHODS`).

    images: (C, z, y, x) in model-input units; masks: labels of the same scans. A row: setup, model, member, method,
    scans, statistic (mean |Spearman| with every weight shuffled; None where every map is constant), threshold, fired,
    and stages, output first: weights (how many tensors are shuffled), spearman and layer_change (means over scans).
    """
    rows = []
    manifest = package.manifest
    for method in (one for one in methods if one in METHODS):
        found = randomisation(package.model, map_function(package, images, method=method, engine=engine), masks)
        rows.append(
            {
                "setup": manifest.setup, "model": manifest.name, "member": manifest.member, "method": method,
                "scans": len(images), "statistic": _number(found.statistic), "threshold": HARDLY,
                "fired": found.fires, "stages": _stages(found),
            }
        )  # fmt: skip
    return rows


def _stages(found: Randomisation) -> list[dict[str, Any]]:
    return [
        {"weights": n, "spearman": _mean(found.spearman[i]), "layer_change": _mean(found.layer_change[i])}
        for i, n in enumerate(found.ends)
    ]


def _mean(values: NDArray[np.float64]) -> float | None:
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else None


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
