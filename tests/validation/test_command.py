"""The command: which parts, how long, where to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from layer_fast.validation import __main__ as command
from layer_fast.validation.parts import PARTS


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path, bool]]:
    out: list[tuple[str, Path, bool]] = []

    def runner(part: Any) -> Any:
        return lambda path, quick: out.append((part.name, path, quick))

    monkeypatch.setattr(command, "runner", runner)
    monkeypatch.setattr(command, "there", lambda part: part.name != "guards")
    return out


def test_usual_parts_run_in_order_and_say_how_long(
    called: list[tuple[str, Path, bool]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--out", str(tmp_path)]) == 0
    usual = [part.name for part in PARTS if part.usual and part.name != "guards"]
    assert called == [(name, tmp_path / f"validation_{name}.json", False) for name in usual]
    assert "reference" not in usual
    minutes = sum(part.minutes for part in PARTS if part.name in usual)
    assert f"{len(usual)} parts, about {minutes:.0f} minutes" in capsys.readouterr().err


def test_a_part_that_is_asked_for(called: list[tuple[str, Path, bool]], tmp_path: Path) -> None:
    assert command.main(["--out", str(tmp_path), "--part", "reference", "--quick"]) == 0
    assert called == [("reference", tmp_path / "validation_reference_quick.json", True)]


def test_a_part_that_is_not_installed_is_an_error(
    called: list[tuple[str, Path, bool]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--out", str(tmp_path), "--part", "guards"]) == 1
    assert called == [] and "not installed: guards" in capsys.readouterr().err
