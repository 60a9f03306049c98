"""Built engines on disk: found again by everything that decided them, loaded only if signed by this user's own key."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
from collections.abc import Callable
from pathlib import Path

from .private import PrivateFolder

VARIABLE = "LAYER_FAST_CACHE"
_MAGIC = b"layer_fast engine 1\n"
_SIGNATURE = hashlib.sha256().digest_size
_log = logging.getLogger("layer_fast.engines")


def folder(given: str = "") -> Path:
    """Where engines are kept: the option, LAYER_FAST_CACHE, else layer_fast/engines in the XDG cache folder."""
    named = given or os.environ.get(VARIABLE, "")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path("~/.cache").expanduser()
    return root / "layer_fast" / "engines"


class EngineCache:
    """Files KEY.engine in a private folder: a first line, an HMAC-SHA256 over key and content, the content.

    The key is in the signature, so a whole and signed file under another engine's name is worthless too. Safe for
    several processes: one builds, the others wait and read. Remove the folder at any time.
    """

    def __init__(self, path: Path) -> None:
        self._folder = PrivateFolder(path)

    def get(self, key: str, build: Callable[[], bytes]) -> bytes:
        """The engine of this key: from its file if that is whole and ours, else built and written.

        Nothing of a file that fails a check reaches TensorRT. Raises what `build` raises, and EngineError where the
        folder cannot be used.
        """
        with self._folder.locked(key):
            found = self._load(key)
            if found is None:
                found = build()
                try:
                    self._folder.write(_name(key), _MAGIC + self._sign(key, found) + found)
                except OSError as error:
                    _log.warning("engine cache: %s cannot be kept (%s); it will be built again", _name(key), error)
            return found

    def _load(self, key: str) -> bytes | None:
        data = self._folder.read(_name(key))
        if data is None or not data.startswith(_MAGIC) or len(data) < len(_MAGIC) + _SIGNATURE:
            return None
        start = len(_MAGIC) + _SIGNATURE
        signature, content = data[len(_MAGIC) : start], data[start:]
        if not hmac.compare_digest(signature, self._sign(key, content)):
            _log.warning("engine cache: %s is not what was written there; it is built again", _name(key))
            return None
        return content

    def _sign(self, key: str, content: bytes) -> bytes:
        signed = hmac.new(self._folder.key(), _MAGIC + key.encode() + b"\n", hashlib.sha256)
        signed.update(content)
        return signed.digest()


def _name(key: str) -> str:
    return f"{key}.engine"
