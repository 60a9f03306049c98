"""What of the sanitizer's run needs no GPU: which earlier answers it goes on with."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu import sanitize


def test_what_was_found_for_another_commit_is_found_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tried: list[str] = []

    def checked(tool: str, seconds: int) -> dict[str, Any]:
        tried.append(tool)
        return {"planted_fault_found": True, "clean": tool != "racecheck", "output": ""}

    monkeypatch.setattr(sanitize, "RESULT", tmp_path / "found.json")
    monkeypatch.setattr(sanitize, "checked", checked)
    monkeypatch.setattr(sys, "argv", ["sanitize.py"])
    for commit, expected in (("a", list(sanitize.TOOLS)), ("a", ["racecheck"]), ("b", list(sanitize.TOOLS))):
        tried.clear()
        monkeypatch.setattr(sanitize, "revision", lambda commit=commit: commit)
        with pytest.raises(SystemExit) as ended:
            sanitize.main()
        assert ended.value.code == 1, "one tool is not clean"
        assert tried == expected
        assert json.loads(sanitize.RESULT.read_text())["commit"] == commit


def test_the_commit_is_that_of_the_checkout() -> None:
    assert sanitize.revision() == "unknown" or len(sanitize.revision()) == 40
