"""The ledger: one file per scan, written whole or not at all, so that a killed run can go on.

Commit: see files.write_atomic. A record counts only if it exists, its checksum holds and its key is the one this run
would give it. Tables are derived from records, so they may be lost at any time. Execution at least once, effect
exactly once.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from .errors import ConfigError, LockedError
from .files import write_atomic
from .types import ScanRecord

_FIELDS = {f.name for f in fields(ScanRecord)} - {"seconds"}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the output folder, which is made if it is not there. The lock dies with its owner, so a killed run leaves
    nothing to unlock.

    Raises LockedError if another run holds it, ConfigError where its file system cannot lock, OSError where the folder
    or its file .lock cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Never truncated, never through a link: whatever lies there under this name keeps its content.
    held = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(f"{folder}: another run is writing here") from None
        except OSError as error:
            raise ConfigError(f"{folder}: expected a folder that can be locked (flock), for two runs must not write "
                              f"there at once; found: {error.strerror}") from error  # fmt: skip
        yield
    finally:
        os.close(held)


class Ledger:
    """Records of one output folder, in 256 sub-folders so that no folder grows large."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, scan_id: str) -> Path:
        name = hashlib.sha256(scan_id.encode()).hexdigest()
        return self._folder / name[:2] / f"{name[:32]}.json"

    def write(self, record: ScanRecord, inputs: dict[str, list[Any]]) -> None:
        """Commit a record. `inputs`: name -> [size, mtime_ns, sha256], which spares rehashing on resume."""
        body = {name: value for name, value in asdict(record).items() if name in _FIELDS}
        text = json.dumps({"record": body, "inputs": inputs}, sort_keys=True, separators=(",", ":"), allow_nan=True)
        path = self.path(record.scan_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, f"{zlib.crc32(text.encode()):08x} {text}\n".encode())

    def read(self, scan_id: str) -> tuple[ScanRecord, dict[str, list[Any]]] | None:
        """The committed record and its inputs, or None if there is none that is whole."""
        try:
            data = self.path(scan_id).read_bytes()
        except OSError:
            return None
        checksum, _, text = data.rstrip(b"\n").partition(b" ")
        if checksum != f"{zlib.crc32(text):08x}".encode():
            return None
        body = json.loads(text)
        if set(body["record"]) != _FIELDS or body["record"]["scan_id"] != scan_id:
            return None
        body["record"]["flags"] = tuple(body["record"]["flags"])
        return ScanRecord(**body["record"]), body["inputs"]

