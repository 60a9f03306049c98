"""docs/validation.md says what the result files say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from layer_fast.validation import page, page_tables
from layer_fast.validation.parts import PARTS
from layer_fast.validation.store import path_of

ROOT = Path(__file__).resolve().parents[2]
PAGE, RESULTS = ROOT / "docs" / "validation.md", ROOT / "benchmarks" / "results"


def test_the_page_says_what_the_files_say() -> None:
    assert page.main(["--results", str(RESULTS), "--page", str(PAGE), "--check"]) == 0


def test_every_table_has_its_place_and_every_part_its_table() -> None:
    assert re.findall(r"<!-- generated: (\w+) -->", PAGE.read_text()) == list(page_tables.TABLES)
    assert {part.name for part in PARTS} <= set(page_tables.TABLES)


def test_another_number_is_seen(tmp_path: Path) -> None:
    text = PAGE.read_text()
    stale = re.sub(r"(<!-- generated: tool -->\n)", r"\1by hand\n", text)
    own = tmp_path / "page.md"
    own.write_text(stale)
    assert page.main(["--results", str(RESULTS), "--page", str(own), "--check"]) == 1
    assert page.main(["--results", str(RESULTS), "--page", str(own)]) == 0
    assert own.read_text() == text


def test_results_that_are_committed_are_complete() -> None:
    """A page of half a run would look like a result."""
    import json

    files = [path for part in PARTS if (path := path_of(RESULTS, part.name, False)).is_file()]
    found = {path.name: json.loads(path.read_text()).get("complete", True) for path in files}
    assert found == dict.fromkeys(found, True)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    said = page.written("<!-- generated: tool -->\n<!-- end: tool -->", tmp_path)
    assert page.MISSING in said
    with pytest.raises(KeyError):
        page.written("<!-- generated: nobody -->\n<!-- end: nobody -->", tmp_path)
