"""A cohort from its table to the result tables: resumable, one record per scan, nothing lost to a bad file."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .class_labels import strange_labels
from .config import RunConfig
from .errors import TableError
from .examples import write_examples
from .files import sweep, write_atomic
from .io import load_table
from .ledger import Ledger, locked
from .models import FoldMap, Models
from .resume import Inputs, file_stats, standing_record, with_hashes
from .run_file import as_json, kept_choice, write_randomisation, write_run
from .runner import Runner
from .steps.read import used
from .tables import strata_columns, write_tables
from .timing import StageTimes
from .types import ScanRecord, ScanRef, Status

Progress = Callable[[int, int, ScanRecord], None]
_log = logging.getLogger("layer_fast")
_FEW_BAD = 10  # fewer bad scans than this never stop a run


@dataclass(frozen=True, slots=True)
class CohortRun:
    """What a run did. counts: scans by status. reused: scans whose record was already there."""

    out: Path
    counts: dict[str, int]
    reused: int
    complete: bool
    times: StageTimes
    gave_up: str = ""  # why the run ended early by itself

    @property
    def exit_code(self) -> int:
        """0 if every scan is ok, 3 if any is not."""
        return 0 if self.complete and set(self.counts) <= {"ok"} else 3


def run_cohort(
    table: str | Path | list[ScanRef],
    models: Models | FoldMap | str | Path,
    out: str | Path,
    config: RunConfig | dict[str, Any] | None = None,
    *,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> CohortRun:
    """Run every scan of a cohort table and write scans, layers, coalitions and guards as Parquet into `out`, and
    examples.json with the pictures of the example scans.

    Scans whose record is whole and would get the same key are not run again. `progress(done, total, record)` is called
    after each scan; once `stop` is set no further scan starts and the tables hold the rest as "pending".
    models: what `load_models` takes or gives, or a fold map (a YAML file, or what `load_folds` gives).
    Raises TableError, ConfigError, ModelError, EngineError, LockedError before the first scan.
    """
    out, stop = Path(out), stop or threading.Event()
    refs = load_table(table) if not isinstance(table, list) else table
    if not refs:
        raise TableError(f"{table}: expected at least one scan, found none")
    twice = [scan_id for scan_id, n in Counter(ref.scan_id for ref in refs).items() if n > 1]
    if twice:
        raise TableError(f"expected every scan_id once, found more of {', '.join(sorted(twice)[:5])}")
    runner = Runner(models, config, refs, kept_choice(out))
    runner.refs = refs = [used(ref, runner.config) for ref in runner.refs]
    for said in (runner.wrong(), *strange_labels(refs, runner.some_models(), runner.config.setups)):
        if said:
            _log.warning("%s", said)
    with locked(out):
        ledger = Ledger(out / "ledger")
        _sweep(out)
        (out / "randomisation.json").unlink(missing_ok=True)  # of an earlier run, maybe of other models
        write_run(out, runner, None)
        known = _split(refs, ledger, runner)
        current, gave_up = _run(refs, known, runner, ledger, progress or _silent, stop)
        counts: Counter[str] = Counter()
        good = [ref for ref in refs if current.get(ref.scan_id) in ("ok", "ok_degraded")]
        others = {} if stop.is_set() else runner.other_masks(good)
        pairs = _records(refs, ledger, runner, current, counts, others)
        write_tables(out, pairs, strata_columns(refs), runner.config.store)
        with runner.times.stage("examples"):
            packages, sd = runner.all_packages(), runner.logit_sd()
            write_examples(out, refs, runner.config, packages, runner.pipelines, stopped=stop.is_set(), logit_sd=sd)
        complete = counts["pending"] == 0
        write_run(out, runner, dict(sorted(counts.items())))
        spent = {"seconds": runner.times.seconds, "lanes": runner.lanes, "reused": len(known)}
        write_atomic(out / "timings.json", as_json(spent))
        if not stop.is_set():  # whoever stops a run does not wait for a check of its models
            write_randomisation(out, runner, current)
    return CohortRun(out, dict(counts), len(known), complete, runner.times, gave_up)


def _split(refs: list[ScanRef], ledger: Ledger, runner: Runner) -> dict[str, ScanRecord]:
    """Records that stand, by scan_id and without their rows."""
    known = {}
    for ref in refs:
        facts = runner.facts(ref)
        record = None if facts is None else standing_record(ref, ledger, facts)
        if record is not None:
            # thousands of scans: the tables read the rows again one by one
            record.layers, record.coalitions, record.histograms, record.slices, record.guards = [], [], [], [], []
            known[ref.scan_id] = record
    return known


@dataclass(slots=True)
class _Bad:
    """How many scans of the run are bad. known: records that stand count too, or each resume would run as many bad
    scans again before it gives up; a scan whose file was mended since is not among them."""

    known: int
    share: float
    scans: int
    new: int = 0

    @property
    def why(self) -> str:
        """Why the run gives up; "" while it does not."""
        bad, allowed = self.known + self.new, self.share * self.scans
        if bad < _FEW_BAD or bad <= allowed:
            return ""
        earlier = f", {self.known} of them of earlier runs" if self.known else ""
        return f"{bad} bad scans{earlier} are more than max_bad_share allows ({allowed:g} of {self.scans})"


def _todo(refs: list[ScanRef], seen: dict[str, Inputs], bad: _Bad) -> Iterator[ScanRef]:
    """The scans to run, until too many are bad; size and mtime of their files are noted before they are read."""
    for ref in refs:
        if bad.why:
            return
        seen[ref.scan_id] = file_stats(ref)
        yield ref


def _run(
    refs: list[ScanRef],
    known: dict[str, ScanRecord],
    runner: Runner,
    ledger: Ledger,
    progress: Progress,
    stop: threading.Event,
) -> tuple[dict[str, Status], str]:
    """Run what is not known and commit each record as it comes. Gives the status of every scan that has a record of
    this run, and why the run gave up, if it did: then no further batch begins, and those begun are kept."""
    lost = [record for record in map(runner.unexplained, refs) if record is not None]
    current: dict[str, Status] = {}
    for done, record in enumerate([*known.values(), *lost], start=1):
        current[record.scan_id] = record.status
        progress(done, len(refs), record)
    seen: dict[str, Inputs] = {}
    bad = _Bad(sum(map(_is_bad, known.values())), runner.config.max_bad_share, len(refs), sum(map(_is_bad, lost)))
    with closing(runner.streams([ref for ref in refs if ref.scan_id not in current])) as streams:
        for own, source in streams:
            with closing(source.stream(_todo(own, seen, bad), stop=stop)) as records:
                for record in records:
                    ledger.write(record, with_hashes(seen.pop(record.scan_id), record))
                    current[record.scan_id] = record.status
                    progress(len(current), len(refs), record)
                    bad.new += _is_bad(record)
            del source  # its engines go before the next fold's come
            if stop.is_set() or bad.why:
                break
    return current, bad.why if len(current) < len(refs) else ""


def _is_bad(record: ScanRecord) -> bool:
    return record.status in ("quarantined", "failed")


def _records(
    refs: list[ScanRef], ledger: Ledger, runner: Runner, current: dict[str, Status], counts: Counter[str],
    others: dict[str, list[dict[str, Any]]],
) -> Iterator[tuple[ScanRef, ScanRecord]]:  # fmt: skip
    """Every scan with its record, in table order, counted by status; without a record of this run it is "pending".
    others: by scan_id, rows of guards.parquet that follow from more than the scan and so are in no record."""
    for ref in refs:
        record = runner.unexplained(ref)
        if record is None:
            found = ledger.read(ref.scan_id) if ref.scan_id in current else None
            record = found[0] if found is not None else ScanRecord(ref.scan_id, "", "pending")
            record.guards += others.get(ref.scan_id, [])
        counts[record.status] += 1
        yield ref, runner.tabled(ref, record)


def _sweep(out: Path) -> None:
    """Remove what a killed run left half written, and nothing else: the folder may hold files of the user's."""
    sweep(out, "(?:run|timings|claims|games|stats|compare|guards|randomisation|examples)[.]json")
    sweep(out, "config[.]yaml|report[.]html")
    sweep(out, "(?:scans|layers|coalitions|histograms|slices|guards|definitions|target)[.]parquet")
    sweep(out / "pictures", "[0-9a-f]{32}[.]npz")
    for folder in (out / "ledger").glob("??"):
        sweep(folder, "[0-9a-f]{32}[.]json")


def _silent(done: int, total: int, record: ScanRecord) -> None:
    """The progress of a run that nobody watches."""
