"""From the tables of a run to the files that say what they mean: claims, guards, statistics, games, compare, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .. import quantify
from ..files import write_atomic
from ..report import write_report
from .compare import write_compare
from .result_files import check_by, layers_of, table_of, writing
from .run_facts import classifier_facts


def write_summary(results: Path, by: tuple[str, ...] = ()) -> dict[str, Any]:
    """claims.json, guards.json, stats.json, games.json, compare.json and report.html; what claims.json holds.

    by: columns of the cohort table by which stats.json has strata besides. Holds the folder (`result_files.writing`).
    """
    with writing(results):
        return _write_summary(results, by)


def _write_summary(results: Path, by: tuple[str, ...]) -> dict[str, Any]:
    classifiers = classifier_facts(results)
    layers = quantify.cells(layers_of(results))  # once, for all that reads them
    scans = table_of(results / "scans.parquet")
    check_by(by, scans.column_names)
    guards = _table(results / "guards.parquet")
    summary = quantify.summary(layers, scans, guards=guards, **classifiers)
    write_atomic(results / "claims.json", quantify.claims_json(summary))
    found = quantify.guard_summary(summary, guards, _randomised(results))
    write_atomic(results / "guards.json", quantify.guards_json(found))
    statistics = quantify.cohort_statistics(layers, scans, by=by, **classifiers)
    write_atomic(results / "stats.json", quantify.claims_json(statistics))
    if (coalitions := _table(results / "coalitions.parquet")) is not None:
        games = quantify.games(layers, coalitions, scans, **classifiers)
        write_atomic(results / "games.json", quantify.claims_json(games))
    write_compare(results, layers)
    write_report(results)
    return summary


def _table(path: Path) -> Any:
    return table_of(path) if path.is_file() else None


def _randomised(results: Path) -> Any:
    path = results / "randomisation.json"
    return json.loads(path.read_text(encoding="utf-8"))["models"] if path.is_file() else None
