"""run and report: a cohort table to tables, claims.json and report.html."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from ..cohort import CohortRun, run_cohort
from ..config import RunConfig, make_config, read_config
from ..report import layer_table_text
from ..report.style import plain
from ..types import ScanRecord
from .progress import progress
from .signals import draining
from .summary_files import write_summary


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
                print(plain(f"{record.status}: {record.scan_id}: {record.message}"), file=sys.stderr)

    with draining() as stop, progress("scans") as tick:

        def watch(done: int, total: int, record: ScanRecord) -> None:
            tick(done, total)
            tick_bad(record)

        run = run_cohort(table, models, out, options, progress=watch, stop=stop)
        return stop.code, run


def summarise(results: Path, by: tuple[str, ...], *, as_json: bool) -> int:
    summary = write_summary(results, by)
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
