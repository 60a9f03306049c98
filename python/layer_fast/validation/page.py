"""The tables of docs/validation.md from the JSON files; the text between them is written by hand and kept.

    python -m layer_fast.validation.page --results benchmarks/results --page docs/validation.md

writes them; with --check it exits with 1 where the page does not say what the files say.

A part begins with `<!-- generated: NAME -->` and ends with `<!-- end: NAME -->`. Without its file it says so.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from . import page_tables
from .store import path_of

_BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n)(.*?)(<!-- end: \2 -->)", re.S)
MISSING = "Not run yet with this version."


def written(text: str, results: Path) -> str:
    """The page with every generated part made anew. Raises KeyError for a part that nobody can write."""

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}{_part(match[2], results)}\n{match[4]}"

    return _BLOCK.sub(block, text)


def _part(name: str, results: Path) -> str:
    table = page_tables.TABLES[name]
    if name == "frozen":
        return table({part: found for part in page_tables.TABLES if (found := _read(part, results)) is not None})
    found = _read(name, results)
    return MISSING if found is None else table(found)


def _read(part: str, results: Path) -> dict[str, Any] | None:
    path = path_of(results, part, quick=False)
    return dict(json.loads(path.read_bytes())) if path.is_file() else None


def main(arguments: list[str] | None = None) -> int:
    """0, or 1 where --check finds that the page does not say what the files say."""
    parser = argparse.ArgumentParser(prog="python -m layer_fast.validation.page")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--page", type=Path, required=True)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args(arguments)
    old = given.page.read_text(encoding="utf-8")
    new = written(old, given.results)
    if given.check:
        return int(old != new)
    given.page.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
