"""A cohort from its table to the result tables: resumable, one record per scan, nothing lost to a bad file."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _version
from .config import RESULT_VERSION, RunConfig, as_yaml
from .errors import ConfigError, TableError
from .examples import write_examples
from .files import sweep, write_atomic
from .gpus import GpuWorkers, device_names
from .guards.model_check import SCANS
from .io import load_table
from .ledger import Ledger, locked
from .models import Models
from .pipeline import Pipeline
from .resume import Inputs, file_stats, standing_record, with_hashes
from .steps.record import RunFacts, set_exposure
from .tables import strata_columns, write_tables
from .timing import StageTimes
from .types import ScanRecord, ScanRef, Status

Progress = Callable[[int, int, ScanRecord], None]
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
    models: Models | str | Path,
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
    Raises TableError, ConfigError, ModelError, EngineError, LockedError before the first scan.
    """
    out = Path(out)
    refs = load_table(table) if not isinstance(table, list) else table
    if not refs:
        raise TableError(f"{table}: expected at least one scan, found none")
    twice = [scan_id for scan_id, n in Counter(ref.scan_id for ref in refs).items() if n > 1]
    if twice:
        raise TableError(f"expected every scan_id once, found more of {', '.join(sorted(twice)[:5])}")
    pipeline = Pipeline(models, config, kept_choice=_kept_choice(out))
    with locked(out):
        ledger = Ledger(out / "ledger")
        _sweep(out)
        _write_run(out, pipeline, refs, None)
        known = _split(refs, ledger, pipeline.facts)
        stop = stop or threading.Event()
        with _workers(pipeline) as source:
            current, gave_up = _run(refs, known, source, pipeline, ledger, progress or _silent, stop)
            times = source.times()
        counts: Counter[str] = Counter()
        pairs = _records(refs, ledger, pipeline, current, counts)
        write_tables(out, pairs, strata_columns(refs), pipeline.config.store)
        with times.stage("examples"):
            packages = pipeline.models.packages
            write_examples(out, refs, pipeline.config, packages, lambda few: [(few, pipeline)], stopped=stop.is_set())
        _randomise(out, refs, pipeline, current)
        complete = counts["pending"] == 0
        _write_run(out, pipeline, refs, dict(sorted(counts.items())))
        spent = {"seconds": times.seconds, "lanes": pipeline.lanes, "reused": len(known)}
        write_atomic(out / "timings.json", _json(spent))
    return CohortRun(out, dict(counts), len(known), complete, times, gave_up)


@contextmanager
def _workers(pipeline: Pipeline) -> Iterator[Pipeline | GpuWorkers]:
    """What runs the scans: the pipeline itself, or one worker process for each of several GPUs."""
    if pipeline.config.gpus == 1:
        yield pipeline
        return
    workers = GpuWorkers(pipeline, device_names(pipeline.config.gpus, pipeline.device))
    try:
        yield workers
    finally:
        workers.close()


def _split(refs: list[ScanRef], ledger: Ledger, facts: RunFacts) -> dict[str, ScanRecord]:
    """Records that stand, by scan_id and without their rows."""
    known = {}
    for ref in refs:
        record = standing_record(ref, ledger, facts)
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


def _todo(refs: list[ScanRef], known: dict[str, ScanRecord], seen: dict[str, Inputs], bad: _Bad) -> Iterator[ScanRef]:
    """The scans to run, until too many are bad; size and mtime of their files are noted before they are read."""
    for ref in refs:
        if bad.why:
            return
        if ref.scan_id not in known:
            seen[ref.scan_id] = file_stats(ref)
            yield ref


def _run(
    refs: list[ScanRef],
    known: dict[str, ScanRecord],
    source: Pipeline | GpuWorkers,
    pipeline: Pipeline,
    ledger: Ledger,
    progress: Progress,
    stop: threading.Event,
) -> tuple[dict[str, Status], str]:
    """Run what is not known and commit each record as it comes. Gives the status of every scan that has a record of
    this run, and why the run gave up, if it did: then no further batch begins, and those begun are kept."""
    for done, record in enumerate(known.values(), start=1):
        progress(done, len(refs), record)
    current: dict[str, Status] = {scan_id: record.status for scan_id, record in known.items()}
    seen: dict[str, Inputs] = {}
    bad = _Bad(sum(_is_bad(record) for record in known.values()), pipeline.config.max_bad_share, len(refs))
    with closing(source.stream(_todo(refs, known, seen, bad), stop=stop)) as records:
        for done, record in enumerate(records, start=len(known) + 1):
            ledger.write(record, with_hashes(seen.pop(record.scan_id), record))
            current[record.scan_id] = record.status
            progress(done, len(refs), record)
            bad.new += _is_bad(record)
    return current, bad.why if len(current) < len(refs) else ""


def _is_bad(record: ScanRecord) -> bool:
    return record.status in ("quarantined", "failed")


def _records(
    refs: list[ScanRef], ledger: Ledger, pipeline: Pipeline, current: dict[str, Status], counts: Counter[str]
) -> Iterator[tuple[ScanRef, ScanRecord]]:
    """Every scan with its record, in table order, counted by status; without a record of this run it is "pending"."""
    for ref in refs:
        found = ledger.read(ref.scan_id) if ref.scan_id in current else None
        record = found[0] if found is not None else ScanRecord(ref.scan_id, "", "pending")
        set_exposure(record.scan, record.layers, pipeline.models, ref.subject)
        counts[record.status] += 1
        yield ref, record


def _randomise(out: Path, refs: list[ScanRef], pipeline: Pipeline, current: dict[str, Status]) -> None:
    """randomisation.json, from the first good scans of the table; without the guard an older one goes."""
    path = out / "randomisation.json"
    if "randomisation" not in pipeline.config.guards:
        path.unlink(missing_ok=True)
        return
    good = [ref for ref in refs if current.get(ref.scan_id) in ("ok", "ok_degraded")][:SCANS]
    rows = pipeline.randomisation(good)
    write_atomic(path, _json({"scans": [ref.scan_id for ref in good], "models": rows}))


def _sweep(out: Path) -> None:
    """Remove what a killed run left half written, and nothing else: the folder may hold files of the user's."""
    sweep(out, "(?:run|timings|claims|games|stats|compare|guards|randomisation|examples)[.]json")
    sweep(out, "config[.]yaml|report[.]html")
    sweep(out, "(?:scans|layers|coalitions|histograms|slices|guards)[.]parquet")
    sweep(out / "pictures", "[0-9a-f]{32}[.]npz")
    for folder in (out / "ledger").glob("??"):
        sweep(folder, "[0-9a-f]{32}[.]json")


def _kept_choice(out: Path) -> dict[str, Any] | None:
    """The engine of the run whose folder this is, with the reason for it, or None where there was none or its records
    are of another version. Raises ConfigError where run.json is there and does not say."""
    path = out / "run.json"
    try:
        facts = json.loads(path.read_bytes())
        if facts["result_version"] != RESULT_VERSION:
            return None  # its records are redone
        engine, choice = facts["engine"]["engine"], facts.get("engine_choice")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: expected the facts of an earlier run, found {type(error).__name__}: {error}; "
                          f"remove it or name another folder") from error  # fmt: skip
    if isinstance(choice, dict) and choice.get("chosen") == engine:
        return choice
    return {"chosen": engine, "why": "the engine of the run in this folder"}


def _write_run(out: Path, pipeline: Pipeline, refs: list[ScanRef], counts: dict[str, int] | None) -> None:
    """run.json: what was run, with what. Without counts the run has not ended."""
    complete = counts is not None and "pending" not in counts
    packages = [
        {"name": p.manifest.name, "role": p.manifest.role, "setup": p.manifest.setup, "member": p.manifest.member,
         "sha256": p.sha256, "logit_sd_train": p.manifest.logit_sd_train, "training_data": p.manifest.training_data,
         "classes": p.manifest.classes, "ordinal": p.manifest.ordinal,
         "target": None if p.manifest.target is None else p.manifest.target.model_dump()}
        for p in pipeline.models.packages
    ]  # fmt: skip
    facts = {
        "layer_fast": _version.__version__, "result_version": RESULT_VERSION, "complete": complete,
        "scans": len(refs), "counts": counts or {"pending": len(refs)},
        "config": pipeline.config.model_dump(mode="json"), "config_sha256": pipeline.config.sha256(),
        "engine": pipeline.facts.fixed["engine"], "engine_choice": pipeline.engine_choice,
        "precision_agreement": pipeline.precision_agreement, "models": packages,
        "donors": pipeline.donors.facts() if pipeline.donors is not None else [],
        "notice": "Research use only. Not a medical device. What a model uses is not what causes pain.",
    }  # fmt: skip
    write_atomic(out / "run.json", _json(facts))
    write_atomic(out / "config.yaml", as_yaml(pipeline.config))


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _silent(done: int, total: int, record: ScanRecord) -> None:
    """The progress of a run that nobody watches."""
