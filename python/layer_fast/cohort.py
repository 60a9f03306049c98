"""A cohort from its table to the result tables: resumable, one record per scan, nothing lost to a bad file."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _version
from .config import RESULT_VERSION, RunConfig, as_yaml
from .errors import TableError
from .files import sweep, write_atomic
from .io import load_table
from .ledger import Ledger, locked
from .models import Models
from .pipeline import Pipeline
from .resume import Inputs, belongs, file_stats, standing_record, with_hashes
from .steps.record import RunFacts
from .tables import strata_columns, write_tables
from .timing import StageTimes
from .types import ScanRecord, ScanRef

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
    """Run every scan of a cohort table and write scans, layers and coalitions as Parquet into `out`.

    Scans whose record is whole and would get the same key are not run again. `progress(done, total, record)` is called
    after each scan; once `stop` is set no further scan starts and the tables hold the rest as "pending".
    Raises TableError, ConfigError, ModelError, EngineError, LockedError before the first scan.
    """
    out = Path(out)
    refs = load_table(table) if not isinstance(table, list) else table
    if not refs:
        raise TableError(f"{table}: expected at least one scan, found none")
    pipeline = Pipeline(models, config)
    with locked(out):
        ledger = Ledger(out / "ledger")
        for folder in (out, out / "pictures", *(out / "ledger").glob("??")):
            sweep(folder)
        _write_run(out, pipeline, refs, None)
        pictures = _pictures(refs, out, pipeline.config.pictures)
        known = _split(refs, ledger, pipeline.facts, pictures)
        _run(refs, known, pipeline, ledger, pictures, progress or _silent, stop or threading.Event())
        counts: Counter[str] = Counter()
        write_tables(out, _records(refs, ledger, pipeline, counts), strata_columns(refs))
        complete = counts["pending"] == 0
        _write_run(out, pipeline, refs, dict(sorted(counts.items())))
        times = pipeline.times()
        spent = {"seconds": times.seconds, "lanes": pipeline.lanes, "reused": len(known)}
        write_atomic(out / "timings.json", _json(spent))
    return CohortRun(out, dict(counts), len(known), complete, times)


def _split(refs: list[ScanRef], ledger: Ledger, facts: RunFacts, pictures: dict[str, Path]) -> dict[str, ScanRecord]:
    """Records that stand, by scan_id. A scan whose picture is wanted and missing must run."""
    known = {}
    for ref in refs:
        record = standing_record(ref, ledger, facts)
        picture = pictures.get(ref.scan_id)
        lacks_picture = picture is not None and not picture.is_file()
        if record is not None and not (lacks_picture and record.status in ("ok", "ok_degraded")):
            known[ref.scan_id] = record
    return known


def _noting(refs: Iterable[ScanRef], seen: dict[str, Inputs]) -> Iterator[ScanRef]:
    """Pass scans on, noting size and mtime of their files before they are read."""
    for ref in refs:
        seen[ref.scan_id] = file_stats(ref)
        yield ref


def _run(
    refs: list[ScanRef],
    known: dict[str, ScanRecord],
    pipeline: Pipeline,
    ledger: Ledger,
    pictures: dict[str, Path],
    progress: Progress,
    stop: threading.Event,
) -> None:
    """Run what is not known and commit each record as it comes."""
    for done, record in enumerate(known.values(), start=1):
        progress(done, len(refs), record)
    seen: dict[str, Inputs] = {}
    bad = 0
    todo = _noting((ref for ref in refs if ref.scan_id not in known), seen)
    for done, record in enumerate(pipeline.stream(todo, pictures=pictures, stop=stop), start=len(known) + 1):
        ledger.write(record, with_hashes(seen.pop(record.scan_id), record))
        progress(done, len(refs), record)
        bad += record.status in ("quarantined", "failed")
        if bad >= _FEW_BAD and bad > pipeline.config.max_bad_share * len(refs):
            stop.set()


def _records(
    refs: list[ScanRef], ledger: Ledger, pipeline: Pipeline, counts: Counter[str]
) -> Iterator[tuple[ScanRef, ScanRecord]]:
    """Every scan with its record, in table order, counted by status; a scan that did not run is "pending"."""
    for ref in refs:
        record, inputs = ledger.read(ref.scan_id) or (None, {})
        if record is None or not belongs(record, inputs, pipeline.facts):
            record = ScanRecord(ref.scan_id, "", "pending")
        record.scan["exposure"] = pipeline.models.exposure(ref.subject)
        counts[record.status] += 1
        yield ref, record


def _pictures(refs: list[ScanRef], out: Path, count: int) -> dict[str, Path]:
    """Scans whose slice is kept, and its file: the first of each label in turn, so that both classes are seen."""
    by_label: dict[str | None, list[ScanRef]] = {}
    for ref in refs:
        by_label.setdefault(ref.label, []).append(ref)
    turns = max((len(group) for group in by_label.values()), default=0)
    ordered = [group[i] for i in range(turns) for group in by_label.values() if i < len(group)]
    names = {ref.scan_id: hashlib.sha256(ref.scan_id.encode()).hexdigest()[:32] for ref in ordered[:count]}
    wanted = {scan_id: out / "pictures" / f"{name}.npz" for scan_id, name in names.items()}
    for old in set((out / "pictures").glob("*.npz")) - set(wanted.values()):
        old.unlink()  # of an earlier cohort in this folder
    return wanted


def _write_run(out: Path, pipeline: Pipeline, refs: list[ScanRef], counts: dict[str, int] | None) -> None:
    """run.json: what was run, with what. Without counts the run has not ended."""
    complete = counts is not None and "pending" not in counts
    packages = [
        {"name": p.manifest.name, "role": p.manifest.role, "setup": p.manifest.setup, "member": p.manifest.member,
         "sha256": p.sha256, "logit_sd_train": p.manifest.logit_sd_train, "training_data": p.manifest.training_data}
        for p in pipeline.models.packages
    ]  # fmt: skip
    facts = {
        "layer_fast": _version.__version__, "result_version": RESULT_VERSION, "complete": complete,
        "scans": len(refs), "counts": counts or {"pending": len(refs)},
        "config": pipeline.config.model_dump(mode="json"), "config_sha256": pipeline.config.sha256(),
        "engine": pipeline.facts.fixed["engine"], "models": packages,
        "notice": "Research use only. Not a medical device. What a model uses is not what causes pain.",
    }  # fmt: skip
    write_atomic(out / "run.json", _json(facts))
    write_atomic(out / "config.yaml", as_yaml(pipeline.config))


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _silent(done: int, total: int, record: ScanRecord) -> None:
    """The progress of a run that nobody watches."""
