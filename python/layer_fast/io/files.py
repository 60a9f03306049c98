"""Opening a file safely: a regular file, of a bounded size, that did not change while it was read."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np

from ..errors import ReadError

GIB = 1 << 30
MAX_BYTES = 4 * GIB
_CHUNK = 1 << 22  # small enough that hashing finds the bytes still in cache


class RegularFile:
    """An open regular file. Use as a context manager; `head` reads the start, `read` all of it with its hash."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self.sha256 = ""
        self._fd = _open(self.path)
        self._before = os.fstat(self._fd)
        try:
            if not stat.S_ISREG(self._before.st_mode):
                raise ReadError("not_a_file", f"{self.name!r} is not a regular file (folder, pipe, socket or device)")
            if self._before.st_size == 0:
                raise ReadError("empty_file", f"{self.name!r} holds 0 bytes")
        except ReadError:
            os.close(self._fd)
            raise

    @property
    def size(self) -> int:
        """Bytes of the file as it was opened."""
        return self._before.st_size

    def __enter__(self) -> RegularFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        os.close(self._fd)

    def head(self, count: int) -> bytes:
        """The first `count` bytes, fewer where the file is shorter."""
        parts: list[bytes] = []
        done = 0
        while done < count:
            part = os.pread(self._fd, count - done, done)
            if not part:
                break
            parts.append(part)
            done += len(part)
        return b"".join(parts)

    def read(self, *, max_bytes: int = MAX_BYTES, hashed: bool = True) -> memoryview:
        """All bytes; sets `sha256` in the same go, unless `hashing` is to do it.

        Raises ReadError `too_large` before anything is allocated, `changed_during_read` if the file's size, time
        or identity moved between opening and the end of reading.
        """
        if self.size > max_bytes:
            raise ReadError("too_large", f"{self.name!r} holds {self.size} bytes, at most {max_bytes} are read")
        view = np.empty(self.size, np.uint8).data  # NumPy asks for huge pages, which a bytearray does not
        digest = hashlib.sha256()
        done = 0
        while done < self.size:
            count = os.preadv(self._fd, [view[done : done + _CHUNK]], done)
            if count == 0:
                break
            if hashed:
                digest.update(view[done : done + count])
            done += count
        if done != self.size or _identity(os.fstat(self._fd)) != _identity(self._before):
            raise ReadError("changed_during_read", f"{self.name!r} was changed by someone while it was read")
        self.sha256 = digest.hexdigest() if hashed else ""
        return view

    @contextmanager
    def hashing(self, data: memoryview) -> Iterator[None]:
        """Set `sha256` of `data`, what `read(hashed=False)` gave, on another thread while the body works on it."""
        digest = hashlib.sha256()
        beside = threading.Thread(target=digest.update, args=(data,), name="hash")
        try:
            beside.start()
        except RuntimeError:  # the system has no further thread for us: one after the other
            digest.update(data)
        try:
            yield
        finally:
            if beside.ident is not None:
                beside.join()
        self.sha256 = digest.hexdigest()


def _identity(status: os.stat_result) -> tuple[int, int, int, int, int]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _open(path: Path) -> int:
    # O_NONBLOCK: opening a pipe or a device returns at once; what it is we ask fstat afterwards, without a race.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        return os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        raise ReadError("not_found", f"{path.name!r}: no such file") from None
    except PermissionError:
        raise ReadError("not_readable", f"{path.name!r}: permission denied") from None
    except ValueError:  # a NUL character in the name
        raise ReadError("not_found", "a file name holds a NUL character") from None
    except OSError as error:
        code = "not_a_file" if error.errno in (errno.ENXIO, errno.EISDIR) else "not_readable"
        raise ReadError(code, f"{path.name!r}: {os.strerror(error.errno or 0)}") from None


def sha256_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a regular file's bytes as hex, reading in chunks (memory does not grow with the file)."""
    with RegularFile(path) as file:
        digest = hashlib.sha256()
        done = 0
        while chunk := os.pread(file._fd, _CHUNK, done):
            digest.update(chunk)
            done += len(chunk)
        return digest.hexdigest()
