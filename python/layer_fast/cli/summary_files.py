"""From the tables of a run to the files that say what they mean: claims, guards, statistics, games, compare, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..config import RESULT_VERSION
from ..errors import LayerFastError
from ..files import write_atomic
from ..models.manifest import Target
from ..report import write_report
from ..steps.record import target_name


def write_summary(results: Path) -> dict[str, Any]:
    """claims.json, guards.json, stats.json, games.json, compare.json and report.html; what claims.json holds."""
    import pyarrow.parquet as parquet

    from .. import quantify
    from ..quantify.tables import read_layers
    from .compare import write_compare

    for name in ("layers.parquet", "scans.parquet", "run.json"):
        if not (results / name).is_file():
            raise LayerFastError(f"{results}: expected the results of a run, found no {name}")
    classifiers = classifier_facts(results)
    layers = quantify.cells(read_layers(results / "layers.parquet"))  # once, for all that reads them
    scans = parquet.read_table(results / "scans.parquet")
    guards = _table(results / "guards.parquet")
    summary = quantify.summary(layers, scans, guards=guards, **classifiers)
    write_atomic(results / "claims.json", quantify.claims_json(summary))
    found = quantify.guard_summary(summary, guards, _randomised(results))
    write_atomic(results / "guards.json", quantify.guards_json(found))
    statistics = quantify.cohort_statistics(layers, scans, **classifiers)
    write_atomic(results / "stats.json", quantify.claims_json(statistics))
    if (coalitions := _table(results / "coalitions.parquet")) is not None:
        games = quantify.games(layers, coalitions, scans, **classifiers)
        write_atomic(results / "games.json", quantify.claims_json(games))
    write_compare(results, layers)
    write_report(results)
    return summary


def classifier_facts(results: Path) -> dict[str, Any]:
    """What statistics need of the classifiers of a run: `logit_sd` and `targets` of `quantify.summary`."""
    facts = run_facts(results)
    classifiers = [p for p in facts["models"] if p["target"] is not None]
    spread: dict[str, Any] = {}
    for p in classifiers:
        name = f"{p['setup']}/{p['name']}/{p['member']}"
        if "fold" in p:  # a fold map: one model for each
            spread.setdefault(name, {})[p["fold"]] = p["logit_sd_train"]
        else:
            spread[name] = p["logit_sd_train"]
    return {"logit_sd": spread, "targets": cell_classes(facts)}


def cell_classes(facts: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """Target text of the tables -> (positive class, negative class or None for every other), of a run.json."""
    explained = [p for p in facts["models"] if p["target"] is not None]
    return {target_name(Target(**p["target"]), facts["config"]["target"]): model_classes(p) for p in explained}


def model_classes(model: dict[str, Any]) -> tuple[str, str | None]:
    """(positive, negative) of a classifier of run.json; of a threshold the levels at or above it and those below."""
    from ..quantify import split_at

    target = Target(**model["target"])
    return split_at(model["classes"], target.positive) if target.at_or_above else (target.positive, target.negative)


def run_facts(results: Path) -> dict[str, Any]:
    """run.json of a run of this version: what an older one means by a column or a number may be another thing."""
    path = results / "run.json"
    if not path.is_file():
        raise LayerFastError(f"{results}: expected the results of a run, found no run.json")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LayerFastError(f"{path}: expected the facts of a run as JSON, found: {error}") from error
    found = facts.get("result_version") if isinstance(facts, dict) else None
    if found != RESULT_VERSION:
        raise LayerFastError(
            f"{path}: expected results of version {RESULT_VERSION}, found version {found}; `layer-fast run` into this "
            f"folder makes them anew"
        )
    return dict(facts)


def _table(path: Path) -> Any:
    import pyarrow.parquet as parquet

    return parquet.read_table(path) if path.is_file() else None


def _randomised(results: Path) -> Any:
    path = results / "randomisation.json"
    return json.loads(path.read_text(encoding="utf-8"))["models"] if path.is_file() else None
