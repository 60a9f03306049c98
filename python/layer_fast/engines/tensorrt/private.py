"""A folder that only its owner can read or write, and files in it that are read only if they are his alone.

An engine is code that the GPU runs: a file that another user could have written must not be loaded. So the folder is
0700 and ours, files are opened relative to it, links are not followed, and what is read is checked after the open.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import EngineError

KEY_BYTES = 32
_KEY_NAME = "hmac.key"
_LARGEST = 8 << 30


class PrivateFolder:
    """Opened once and used by its descriptor, so that a folder renamed into its place is not taken for it.

    Raises EngineError: the folder is a link, another user's, or open to others; and what to type.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise EngineError(f"engine cache {path}: expected a folder of your own (links are not followed), found: "
                              f"{error.strerror}; set LAYER_FAST_CACHE to another one") from error  # fmt: skip
        facts = os.fstat(self._folder)
        if facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
            raise EngineError(f"engine cache {path}: expected a folder of your own with mode 0700, found owner "
                              f"{facts.st_uid}, mode {stat.S_IMODE(facts.st_mode):04o}; chmod 700 it, or set "
                              f"LAYER_FAST_CACHE to another one")  # fmt: skip

    def __del__(self) -> None:
        if hasattr(self, "_folder"):
            os.close(self._folder)

    def read(self, name: str) -> bytes | None:
        """The bytes of a file that is regular, ours, closed to others and has one name; None for any other."""
        try:
            # O_NONBLOCK: opening a pipe must not hang.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(name, flags, dir_fd=self._folder), "rb") as file:
                facts = os.fstat(file.fileno())
                ours = facts.st_uid == os.geteuid() and not facts.st_mode & 0o077 and facts.st_nlink == 1
                if not (stat.S_ISREG(facts.st_mode) and ours and facts.st_size <= _LARGEST):
                    return None
                return file.read()
        except OSError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Replace a file whole, whatever stands in its place: temporary file, fsync, rename, fsync of the folder. Of
        one that cannot be written nothing stays behind: engines are large, and a full disk is the usual reason."""
        temporary = f".{name}.{secrets.token_hex(8)}.tmp"
        try:
            self._fill(temporary, data)
            os.replace(temporary, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=self._folder)
            raise
        os.fsync(self._folder)

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold an exclusive lock of this name against threads and processes; an empty file stays behind."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with self._named(f"{name}.lock"):
            descriptor = os.open(f"{name}.lock", flags, 0o600, dir_fd=self._folder)
        try:
            with self._named(f"{name}.lock"):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def key(self) -> bytes:
        """The secret that files are signed with, made by whoever is first. One that others could have read is
        replaced, which makes every file signed with it worthless."""
        found = self.read(_KEY_NAME)
        if found is None or len(found) != KEY_BYTES:
            with self.locked(_KEY_NAME):
                found = self.read(_KEY_NAME)
                if found is None or len(found) != KEY_BYTES:
                    with self._named(_KEY_NAME):
                        self.write(_KEY_NAME, secrets.token_bytes(KEY_BYTES))
                    found = self.read(_KEY_NAME)
        if found is None or len(found) != KEY_BYTES:
            raise EngineError(f"engine cache {self.path}: {_KEY_NAME} cannot be read back; remove the folder")
        return found

    @contextmanager
    def _named(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EngineError(f"engine cache {self.path}: expected to write {name} there, found: {error.strerror}; "
                              f"set LAYER_FAST_CACHE to another folder") from error  # fmt: skip

    def _fill(self, temporary: str, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=self._folder), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
