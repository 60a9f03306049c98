"""Files: written whole or not at all; read only where they are plain files, YAML only where it is a plain tree."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

from .errors import ConfigError, ModelError


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


def read_regular(path: Path, limit: int, *, follow: bool = True) -> bytes:
    """The bytes of a regular file of at most `limit` bytes. follow: whether `path` itself may be a link.

    Raises ModelError: unreadable, a link that is not followed, a pipe or device, too large, or changed while read.
    """
    # O_NONBLOCK: opening a pipe must not hang; what is no regular file is refused after the open, before any read.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise ModelError(f"{path}: expected a regular file, found something else")
            if facts.st_size > limit:
                raise ModelError(f"{path}: expected at most {limit} bytes, found {facts.st_size}")
            data = file.read(facts.st_size + 1)
    except OSError as error:
        link = " (links are not followed)" if not follow and path.is_symlink() else ""
        raise ModelError(f"{path}: expected a readable file, found: {error.strerror}{link}") from error
    if len(data) != facts.st_size:
        raise ModelError(f"{path}: expected the {facts.st_size} bytes that its size says, found another number")
    return data


def read_yaml(path: str | Path) -> Any:
    """What a YAML file holds, by the safe loader (data only). Aliases are refused: a few lines of them stand for
    gigabytes. Raises ConfigError in one sentence for whatever is wrong with the file."""
    import yaml

    class Plain(yaml.SafeLoader):
        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            if self.check_event(yaml.AliasEvent):
                raise yaml.composer.ComposerError(None, None, "an alias (*name); write its value out")
            return super().compose_node(parent, index)

        def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
            """Of a key that occurs twice the loader would keep the last and say nothing."""
            node = super().compose_mapping_node(anchor)
            keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
            if twice := sorted({key for key in keys if keys.count(key) > 1}):
                raise yaml.composer.ComposerError(None, None, f"the key {twice[0]!r} more than once")
            return node

    try:
        return Plain(Path(path).read_text(encoding="utf-8")).get_single_data()
    except OSError as error:
        raise ConfigError(f"{path}: expected a readable file, found: {error.strerror}") from None
    except RecursionError:
        raise ConfigError(f"{path}: expected YAML in UTF-8, found values nested too deeply") from None
    # The loader lets the errors of int(), date() and float() through, and those of explicit tags that do not fit.
    except (yaml.YAMLError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise ConfigError(f"{path}: expected YAML in UTF-8, found: {' '.join(str(error).split())[:200]}") from None
