"""From the tables of a run to games.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config import VALUE_METHODS
from .beside_tables import classifier_of, logit_sds_of, pairs_of, scans_by_id
from .cohort import Settings
from .folds import LogitSd, folded
from .game_cells import coalition_values, game, values_key
from .summary import CAPTION, DISCLAIMER, clean, settings_dict
from .tables import Cell, cells

SCHEMA_VERSION = 1


def games(
    layers: Any,
    coalitions: Any,
    scans: Any,
    *,
    targets: Mapping[str, tuple[str, str | None]] | None = None,
    levels: Sequence[str] | None = None,
    logit_sd: LogitSd = None,
    seed: int = 0,
    replicates: int = 1999,
) -> dict[str, Any]:
    """The content of games.json (its structure: `game_cells`), JSON-ready: a missing number is None.

    layers: a table of docs/tables.md or its cells; coalitions: a pyarrow Table; scans: as in `summary`, and so are
    targets, seed and replicates. levels: the classes from lowest to highest where a target is of ordered classes.
    logit_sd: as in `summary`, of which only one by fold is used. A run without value methods has no games. Raises
    ValueError as `summary` does, and for missing coalition values.
    """
    found = [cell for cell in cells(layers) if cell.key["method"] in VALUE_METHODS]
    one: dict[tuple[str, ...], Cell] = {}
    for cell in found:  # ablation and Shapley values are of one game
        one.setdefault((*values_key(cell), cell.key["target"]), cell)
    pairs, by_scan, values = pairs_of(found, None, None, targets), scans_by_id(scans), coalition_values(coalitions)
    made = []
    spread = logit_sds_of(found, logit_sd)
    for cell in folded(list(one.values()), by_scan, spread, classifier_of):
        settings = Settings(*pairs[cell.key["target"]], seed, replicates)
        made.append(game(cell, values.get(values_key(cell), {}), by_scan, settings, levels))
    settings = Settings(seed=seed, replicates=replicates)
    out = {
        "schema_version": SCHEMA_VERSION, "caption": CAPTION, "disclaimer": DISCLAIMER,
        "settings": settings_dict(settings, pairs), "games": made,
    }  # fmt: skip
    return {name: clean(part) for name, part in out.items()}
