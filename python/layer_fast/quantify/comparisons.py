"""The two comparisons that the literature on tissue layers reports, each with its definition named.

They are descriptions of one definition on one cohort, not a reproduction of published figures: the publications'
own definitions are not known in full.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .cohort import CellStatistics, Settings, region_values
from .definitions import PRESETS
from .draws import Draws
from .inference import difference_interval, mean_interval
from .regions import LAYER_ROWS, REGION_ORDER, ROW_OF

MAP_DEFINITION = "mean_minmax_volume"


def comparisons(stats: CellStatistics, settings: Settings) -> list[dict[str, Any]]:
    """Highest layer (setup bmode) and muscle against non-muscle (bmode, swe and both), for one cell.

    Maps by mean_minmax_volume, equal-subject mean of all subjects; value methods by the class contrast.
    """
    out = [_muscle_against_rest(stats, settings)]
    if stats.cell.key["setup"] == "bmode":
        out.insert(0, _highest_layer(stats, settings))
    return out


def _basis(stats: CellStatistics) -> tuple[str, str, np.ndarray, np.ndarray]:
    """Definition, statistic, values per subject, estimates over the eleven regions."""
    if PRESETS[stats.definition].kind == "value":
        return stats.definition, "class contrast D", stats.per_subject, stats.contrast.estimate
    x = stats.subjects.mean(region_values(stats.cell, MAP_DEFINITION))
    return MAP_DEFINITION, "equal-subject mean", x, stats.means[MAP_DEFINITION].estimate


def _highest_layer(stats: CellStatistics, settings: Settings) -> dict[str, Any]:
    name, statistic, x, estimate = _basis(stats)
    layers = np.array(LAYER_ROWS)
    order = layers[np.argsort(-np.where(np.isnan(estimate[layers]), -np.inf, estimate[layers]), kind="stable")]
    first, second = int(order[0]), int(order[1])
    if np.isnan(estimate[first]):
        return {**_head(stats, "highest_layer", name, statistic), "first": None, "second": None}
    return {
        **_head(stats, "highest_layer", name, statistic),
        "first": {"region": REGION_ORDER[first].name, "estimate": estimate[first]},
        "second": {"region": REGION_ORDER[second].name, "estimate": estimate[second]},
        "difference": _difference(stats, x[:, [first]] - x[:, [second]], settings, "highest"),
    }


def _muscle_against_rest(stats: CellStatistics, settings: Settings) -> dict[str, Any]:
    name, statistic, x, estimate = _basis(stats)
    muscle, rest = ROW_OF["group", "muscle"], ROW_OF["group", "non_muscle"]
    return {
        **_head(stats, "muscle_against_non_muscle", name, statistic),
        "pooling": PRESETS[name].pooling,
        "muscle": estimate[muscle],
        "non_muscle": estimate[rest],
        "difference": _difference(stats, x[:, [rest]] - x[:, [muscle]], settings, "muscle"),
    }


def _head(stats: CellStatistics, what: str, name: str, statistic: str) -> dict[str, Any]:
    return {
        "comparison": what, **stats.cell.key, "definition": name, "definition_sha256": PRESETS[name].sha256_short,
        "statistic": statistic, "n_subjects": len(stats.subjects.names),
    }


def _difference(stats: CellStatistics, gap: np.ndarray, settings: Settings, what: str) -> dict[str, Any]:
    """The difference with its interval: of the class contrasts for value methods, of the paired means for maps."""
    words = stats.cell.words
    draws = Draws(settings.seed, "comparison", what, *words)
    if PRESETS[stats.definition].kind == "value":
        case, control = stats.subjects.split(gap)
        got = difference_interval(
            case, control, draws, replicates=settings.replicates, confidence=settings.confidence
        )
    else:
        got = mean_interval(gap, draws, replicates=settings.replicates, confidence=settings.confidence)
    return {"estimate": got.estimate[0], "low": got.low[0], "high": got.high[0]}
