"""run and report: a cohort table to tables, claims.json and report.html."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from ..cohort import CohortRun, run_cohort
from ..config import RESULT_VERSION, RunConfig, make_config, read_config
from ..errors import LayerFastError
from ..files import write_atomic
from ..models.manifest import Target
from ..report import layer_table_text, write_report
from ..steps.record import target_name
from ..types import ScanRecord
from .progress import progress
from .signals import draining


def run_table(
    table: Path, models: str, out: Path, config: Path | None, given: dict[str, Any], *, as_json: bool
) -> int:
    options = read_config(config) if config is not None else make_config()
    options = make_config({**options.model_dump(), **given})
    stopped, run = run_with_progress(table, models, out, options)
    if stopped:
        _say_times(run)
        return stopped
    summary = write_summary(out)
    if as_json:
        facts = {"counts": run.counts, "reused": run.reused, "complete": run.complete, "out": str(out)}
        print(json.dumps({**facts, "answers": summary["answers"]}, sort_keys=True))
    else:
        print(layer_table_text(summary))
        _say_times(run)
        print(f"wrote {out / 'layers.parquet'}, {out / 'report.html'}", file=sys.stderr)
    return run.exit_code


def run_with_progress(table: Path, models: str, out: Path, options: RunConfig) -> tuple[int, CohortRun]:
    """Run under signal handling; (exit code of the signal or 0, what was done). Bad scans are named on stderr."""
    bad: Counter[str] = Counter()

    def tick_bad(record: ScanRecord) -> None:
        if record.status in ("quarantined", "failed"):
            bad[record.code] += 1
            if bad[record.code] <= 3:  # the table has them all
                print(f"{record.status}: {record.scan_id}: {record.message}", file=sys.stderr)

    with draining() as stop, progress("scans") as tick:

        def watch(done: int, total: int, record: ScanRecord) -> None:
            tick(done, total)
            tick_bad(record)

        run = run_cohort(table, models, out, options, progress=watch, stop=stop)
        return stop.code, run


def write_summary(results: Path) -> dict[str, Any]:
    """claims.json, stats.json, games.json and report.html from the tables of a run."""
    import pyarrow.parquet as parquet

    from .. import quantify

    for name in ("layers.parquet", "scans.parquet", "run.json"):
        if not (results / name).is_file():
            raise LayerFastError(f"{results}: expected the results of a run, found no {name}")
    classifiers = classifier_facts(results)
    layers, scans = parquet.read_table(results / "layers.parquet"), parquet.read_table(results / "scans.parquet")
    summary = quantify.summary(layers, scans, **classifiers)
    write_atomic(results / "claims.json", quantify.claims_json(summary))
    statistics = quantify.cohort_statistics(layers, scans, **classifiers)
    write_atomic(results / "stats.json", quantify.claims_json(statistics))
    if (results / "coalitions.parquet").is_file():
        coalitions = parquet.read_table(results / "coalitions.parquet")
        found = quantify.games(layers, coalitions, scans, targets=classifiers["targets"])
        write_atomic(results / "games.json", quantify.claims_json(found))
    write_report(results)
    return summary


def classifier_facts(results: Path) -> dict[str, Any]:
    """What statistics need of the classifiers of a run: `logit_sd` and `targets` of `quantify.summary`."""
    facts = _run_facts(results / "run.json")
    classifiers = [p for p in facts["models"] if p["target"] is not None]
    spread = {f"{p['setup']}/{p['name']}/{p['member']}": p["logit_sd_train"] for p in classifiers}
    explained = [Target(**p["target"]) for p in classifiers]
    targets = {target_name(t, facts["config"]["target"]): (t.positive, t.negative) for t in explained}
    return {"logit_sd": spread, "targets": targets}


def _run_facts(path: Path) -> dict[str, Any]:
    """run.json of a run of this version: what an older one means by a column or a number may be another thing."""
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


def summarise(results: Path, *, as_json: bool) -> int:
    summary = write_summary(results)
    if as_json:
        print(json.dumps(summary, sort_keys=True))
    else:
        print(layer_table_text(summary))
    return 0


def _say_times(run: CohortRun) -> None:
    if run.gave_up:
        print(f"layer-fast: stopped early: {run.gave_up}", file=sys.stderr)
    counts = ", ".join(f"{n} {status}" for status, n in sorted(run.counts.items()))
    print(f"scans: {counts}; {run.reused} were there already", file=sys.stderr)
    shares = {name: share for name, share in run.times.shares().items() if "." not in name}
    total = sum(shares.values())
    if total > 0:
        parts = ", ".join(f"{name} {100 * share / total:.0f} %" for name, share in shares.items())
        print(f"time: {parts}; bottleneck: {next(iter(shares))}", file=sys.stderr)
