"""A cohort from its table to the result tables: resumable, one record per scan, nothing lost to a bad file."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import _version
from .config import RESULT_VERSION, RunConfig
from .errors import TableError
from .files import sweep, write_atomic
from .io import load_table
from .ledger import Ledger, locked
from .models import Models
from .pipeline import Pipeline
from .tables import strata_columns, write_tables
from .timing import StageTimes
from .types import ScanRecord, ScanRef

Progress = Callable[[int, int, ScanRecord], None]


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
    stop = stop or threading.Event()
    with locked(out):
        ledger = Ledger(out / "ledger")
        for folder in (out, out / "pictures", *(out / "ledger").glob("??")):
            sweep(folder)
        _write_run(out, pipeline, refs, None)
        known, todo = _split(refs, ledger, pipeline, progress)
        pictures = _pictures(refs, out, pipeline.config.pictures)
        _run(todo, pipeline, ledger, len(known), len(refs), pictures, progress, stop)
        counts: Counter[str] = Counter()
        write_tables(out, _records(refs, ledger, set(known), todo, pipeline, counts), strata_columns(refs))
        complete = counts["pending"] == 0
        _write_run(out, pipeline, refs, dict(sorted(counts.items())))
        times = pipeline.times()
        spent = {"seconds": times.seconds, "lanes": pipeline.lanes, "reused": len(known)}
        write_atomic(out / "timings.json", _json(spent))
    return CohortRun(out, dict(counts), len(known), complete, times)


def input_files(ref: ScanRef) -> dict[str, Path]:
    """Name -> file of everything a scan reads."""
    files = {name: path for name, path in (("bmode", ref.bmode), ("swe", ref.swe)) if path is not None}
    return {**files, **{f"mask:{source}": path for source, path in ref.masks.items()}}


def _split(
    refs: list[ScanRef], ledger: Ledger, pipeline: Pipeline, progress: Progress | None
) -> tuple[list[str], list[ScanRef]]:
    """Ids of the scans whose record stands, and the scans that must run."""
    known: list[str] = []
    todo: list[ScanRef] = []
    for ref in refs:
        record = _standing(ref, ledger, pipeline)
        if record is None:
            todo.append(ref)
            continue
        known.append(ref.scan_id)
        if progress is not None:
            progress(len(known), len(refs), record)
    return known, todo


def _standing(ref: ScanRef, ledger: Ledger, pipeline: Pipeline) -> ScanRecord | None:
    found = ledger.read(ref.scan_id)
    if found is None:
        return None
    record, inputs = found
    files = input_files(ref)
    if record.status == "failed" or not record.scan or set(inputs) != set(files):
        return None  # the machine was at fault, or other files belong to this scan now
    hashes = {name: _hash_unless_unchanged(path, inputs[name]) for name, path in files.items()}
    if None in hashes.values() or pipeline.facts.key({k: v for k, v in hashes.items() if v}) != record.key:
        return None
    return record


def _hash_unless_unchanged(path: Path, known: list[Any]) -> str | None:
    """The file's sha256: the recorded one while size and mtime are as recorded, else computed; None if unreadable."""
    try:
        stat = path.stat()
        if [stat.st_size, stat.st_mtime_ns] == known[:2]:
            return str(known[2])
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _stats(refs: Iterator[ScanRef], seen: dict[str, dict[str, list[Any]]]) -> Iterator[ScanRef]:
    """Pass scans on, noting size and mtime of their files before they are read."""
    for ref in refs:
        noted = {}
        for name, path in input_files(ref).items():
            try:
                stat = path.stat()
            except OSError:
                continue  # the read step says so
            noted[name] = [stat.st_size, stat.st_mtime_ns]
        seen[ref.scan_id] = noted
        yield ref


def _run(
    todo: list[ScanRef],
    pipeline: Pipeline,
    ledger: Ledger,
    done: int,
    total: int,
    pictures: dict[str, Path],
    progress: Progress | None,
    stop: threading.Event,
) -> None:
    seen: dict[str, dict[str, list[Any]]] = {}
    bad = 0
    for record in pipeline.stream(_stats(iter(todo), seen), pictures=pictures, stop=stop):
        noted = seen.pop(record.scan_id)
        hashes = {**{n: record.scan.get(f"sha256_{n}") for n in ("bmode", "swe")}, **_mask_hashes(record)}
        ledger.write(record, {n: [*stat, hashes[n]] for n, stat in noted.items() if hashes.get(n)})
        done += 1
        bad += record.status in ("quarantined", "failed")
        if progress is not None:
            progress(done, total, record)
        if bad >= 10 and bad > pipeline.config.max_bad_share * total:
            stop.set()


def _mask_hashes(record: ScanRecord) -> dict[str, str]:
    text = record.scan.get("sha256_mask") or ""
    pairs = (part.rpartition("=") for part in text.split(";") if part)
    return {f"mask:{source}": value for source, _, value in pairs}


def _records(
    refs: list[ScanRef], ledger: Ledger, known: set[str], todo: list[ScanRef], pipeline: Pipeline, counts: Counter[str]
) -> Iterator[tuple[ScanRef, ScanRecord]]:
    """Every scan with its record, in table order, counted by status; a scan that did not run is "pending"."""
    for ref in refs:
        found = ledger.read(ref.scan_id)
        record = found[0] if found is not None else None
        if record is None or record.key != _expected_key(record, found[1] if found else {}, pipeline):
            record = ScanRecord(ref.scan_id, "", "pending")
        record.scan["exposure"] = pipeline.models.exposure(ref.subject)
        counts[record.status] += 1
        yield ref, record


def _expected_key(record: ScanRecord, inputs: dict[str, list[Any]], pipeline: Pipeline) -> str:
    """The key this run gives to the inputs of a record; of an unreadable scan nothing was hashed."""
    return pipeline.facts.key({name: known[2] for name, known in inputs.items()})


def _pictures(refs: list[ScanRef], out: Path, count: int) -> dict[str, Path]:
    """Scans whose slice is kept: the first of each label in turn, so that both classes are seen."""
    by_label: dict[str | None, list[ScanRef]] = {}
    for ref in refs:
        by_label.setdefault(ref.label, []).append(ref)
    turns = max((len(group) for group in by_label.values()), default=0)
    ordered = [group[i] for i in range(turns) for group in by_label.values() if i < len(group)]
    names = {ref.scan_id: hashlib.sha256(ref.scan_id.encode()).hexdigest()[:32] for ref in ordered[:count]}
    return {scan_id: out / "pictures" / f"{name}.npz" for scan_id, name in names.items()}


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


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()
