"""What a new run may keep of an older one in the same folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from .ledger import Ledger
from .steps.record import RunFacts
from .types import ScanRecord, ScanRef

Inputs = dict[str, list[Any]]  # "bmode", "swe", "mask:SOURCE" -> [size, mtime_ns, sha256]


def input_files(ref: ScanRef) -> dict[str, Path]:
    """Name -> file of everything a scan reads."""
    files = {name: path for name, path in (("bmode", ref.bmode), ("swe", ref.swe)) if path is not None}
    return {**files, **{f"mask:{source}": path for source, path in ref.masks.items()}}


def file_stats(ref: ScanRef) -> Inputs:
    """[size, mtime_ns] of a scan's files, to be noted before they are read; a file that is not there is left out."""
    noted: Inputs = {}
    for name, path in input_files(ref).items():
        try:
            stat = path.stat()
        except OSError:
            continue  # the read step says so
        noted[name] = [stat.st_size, stat.st_mtime_ns]
    return noted


def with_hashes(stats: Inputs, record: ScanRecord) -> Inputs:
    """Add to each file's size and mtime the hash that the read step found; files that were not read are left out."""
    hashes = {name: record.scan.get(f"sha256_{name}") for name in ("bmode", "swe")}
    pairs = (part.rpartition("=") for part in (record.scan.get("sha256_mask") or "").split(";") if part)
    hashes |= {f"mask:{source}": value for source, _, value in pairs}
    return {name: [*stat, hashes[name]] for name, stat in stats.items() if hashes.get(name)}


def standing_record(ref: ScanRef, ledger: Ledger, facts: RunFacts) -> ScanRecord | None:
    """The scan's record if this run would give the same one: whole, of the same inputs, models, options and engine.

    A scan that failed is tried again, for the machine was at fault; so is one whose files could not be hashed.
    """
    found = ledger.read(ref.scan_id)
    if found is None:
        return None
    record, inputs = found
    files = input_files(ref)
    if record.status == "failed" or not record.scan or set(inputs) != set(files):
        return None
    hashes = {name: _hash_unless_unchanged(path, inputs[name]) for name, path in files.items()}
    known = {name: value for name, value in hashes.items() if value is not None}
    return record if known == hashes and facts.key(ref, known) == record.key else None


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
