"""What of the sanitizer's run needs no GPU: its steps, its time, and which earlier answers it goes on with."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpu import odd_shapes, sanitize

Step = tuple[str, int | None]
ALL: list[Step] = [(tool, part) for tool in sanitize.TOOLS for part in (None, *range(sanitize.PARTS))]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[int, list[Step]]]:
    """Runs the command over tools that say what they are told to; its exit status and the steps that were tried."""
    monkeypatch.setattr(sanitize, "RESULT", tmp_path / "results" / "found.json")

    def called(*options: str, commit: str = "a", bad: tuple[Step, ...] = ()) -> tuple[int, list[Step]]:
        tried: list[Step] = []

        def fault_found(tool: str) -> dict[str, Any]:
            tried.append((tool, None))
            return {"planted_fault_found": (tool, None) not in bad, "parts": {}, "clean": False, "output": ""}

        def checked(tool: str, part: int, seconds: int) -> str:
            tried.append((tool, part))
            return "an error" if (tool, part) in bad else ""

        monkeypatch.setattr(sanitize, "fault_found", fault_found)
        monkeypatch.setattr(sanitize, "checked", checked)
        monkeypatch.setattr(sanitize, "revision", lambda: commit)
        monkeypatch.setattr(sys, "argv", ["sanitize.py", *options])
        with pytest.raises(SystemExit) as ended:
            sanitize.main()
        return int(ended.value.code or 0), tried

    return called


def test_what_is_clean_is_not_done_again_on_the_same_commit(call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(bad=(("racecheck", 2),)) == (1, ALL)
    assert "racecheck  planted fault found; twins clean in 5 of 6 parts\nan error" in capsys.readouterr().out
    assert not json.loads(sanitize.RESULT.read_text())["tools"]["racecheck"]["clean"]
    assert call() == (0, [("racecheck", 2)])
    assert call() == (0, [])
    assert call("--fresh") == (0, ALL)
    assert call(commit="b") == (0, ALL), "nothing holds for another commit"
    assert json.loads(sanitize.RESULT.read_text())["commit"] == "b"


def test_a_tool_that_misses_its_fault_is_not_asked_further(call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, tried = call(bad=(("initcheck", None),))
    assert code == 1 and tried == [one for one in ALL if one[0] != "initcheck" or one[1] is None]
    assert "initcheck  planted fault MISSED" in capsys.readouterr().out
    code, tried = call()
    assert code == 0 and tried == [one for one in ALL if one[0] == "initcheck"]


def test_no_step_is_begun_after_the_time(call: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--minutes", "-1") == (1, [])
    assert "memcheck   not run yet" in capsys.readouterr().out


def test_the_parts_are_all_cases_and_none_twice() -> None:
    whole = [name for name, *_ in odd_shapes.share("0/1")]
    parts = [name for i in range(sanitize.PARTS) for name, *_ in odd_shapes.share(f"{i}/{sanitize.PARTS}")]
    assert len(whole) > 40 and sorted(parts) == sorted(whole)


def test_a_step_is_ours_alone_and_ends_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "compute-sanitizer"
    tool.write_text('#!/bin/sh\necho "$@"; [ "$2" != racecheck ] || exec sleep 20; [ "$2" = synccheck ] || exit 9\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(sanitize, "plant", lambda: Path("faults"))
    assert sanitize.fault_found("memcheck")["planted_fault_found"]
    assert not sanitize.fault_found("synccheck")["planted_fault_found"], "it ended as if all were well"
    said = sanitize.checked("memcheck", 1, 20)
    assert "--kernel-name kernel_substring=layer_fast --error-exitcode 9" in said and "odd_shapes.py 1/6" in said
    assert sanitize.checked("synccheck", 0, 20) == ""
    assert "took longer than 1 s" in sanitize.checked("racecheck", 0, 1)


def test_the_commit_is_that_of_the_checkout() -> None:
    assert sanitize.revision() == "unknown" or len(sanitize.revision()) == 40
