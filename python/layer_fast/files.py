"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import re
from pathlib import Path


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step that survives a crash at any point: temporary file in the same
    folder, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sweep(folder: Path, names: str) -> None:
    """Remove the temporary files that a killed run left in `folder`: those of `write_atomic` for a file whose name
    matches the regular expression `names`. Only for a folder that is locked."""
    ours = re.compile(rf"\.(?:{names})\.\d+\.tmp")
    for leftover in folder.glob(".*.tmp"):
        if ours.fullmatch(leftover.name):
            leftover.unlink(missing_ok=True)
