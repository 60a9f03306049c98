"""A run that is stopped goes on where it was, and gives what it would have given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from layer_fast.errors import ConfigError
from layer_fast.validation import store

UNITS = {f"u{i}": i for i in range(6)}
KNOWN = store.identity(design="a")


def square(i: int) -> dict[str, Any]:
    return {"square": i * i}


def total(done: dict[str, dict[str, Any]]) -> int:
    return sum(unit["square"] for unit in done.values())


def content(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text())
    found.pop("seconds")
    return dict(found)


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    whole = tmp_path / "whole.json"
    store.run_units(whole, "p", KNOWN, UNITS, square, total, processes=1)
    path, seen = tmp_path / "part.json", []

    def stops(i: int) -> dict[str, Any]:
        if i == 3:
            raise KeyboardInterrupt
        return square(i)

    with pytest.raises(KeyboardInterrupt):
        store.run_units(path, "p", KNOWN, UNITS, stops, total, processes=1)
    held = content(path)
    assert (held["complete"], held["summary"], list(held["units"])) == (False, 5, ["u0", "u1", "u2"])

    def counts(i: int) -> dict[str, Any]:
        seen.append(i)
        return square(i)

    found = store.run_units(path, "p", KNOWN, UNITS, counts, total, processes=1)
    assert seen == [3, 4, 5] and found["complete"] and found["summary"] == 55
    assert content(path) == content(whole)
    before = path.read_bytes()
    store.run_units(path, "p", KNOWN, UNITS, counts, total, processes=1)
    assert seen == [3, 4, 5] and path.read_bytes() == before


def test_processes_change_nothing(tmp_path: Path) -> None:
    one, two = tmp_path / "1.json", tmp_path / "2.json"
    store.run_units(one, "p", KNOWN, UNITS, square, total, processes=1)
    store.run_units(two, "p", KNOWN, dict(reversed(UNITS.items())), square, total, processes=2)
    assert content(one) == content(two)


def test_results_of_another_rule_are_not_mixed_in(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    store.run_units(path, "p", KNOWN, UNITS, square, total, processes=1)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="move it away"):
        store.run_units(path, "p", store.identity(design="b"), UNITS, square, total, processes=1)
    path.with_name("other.json").write_text("[1]")
    with pytest.raises(ConfigError, match="other JSON"):
        store.run_units(path.with_name("other.json"), "p", KNOWN, UNITS, square, total, processes=1)
    assert path.read_bytes() == before


@pytest.mark.parametrize("place", ["fills.py", "quantify/cohort.py", "quantify/claim/rule.py", "quantify/stats/api.py"])
def test_the_rule_is_known_by_its_text(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = store.rule_sha256()
    package = Path(store.quantify.__file__).parents[1]
    for source in (package / "fills.py", *(package / "quantify").rglob("*.py")):
        copied = tmp_path / source.relative_to(package)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(source.read_bytes())
    monkeypatch.setattr(store.quantify, "__file__", str(tmp_path / "quantify" / "__init__.py"))
    assert store.rule_sha256() == own
    (tmp_path / place).write_text("# another rule\n" + (tmp_path / place).read_text())
    assert store.rule_sha256() != own


def test_no_worker_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL lets nobody clean up; what was done is in the file."""
    command = [sys.executable, "-m", "layer_fast.validation", "--quick", "--part", "tool", "--out", str(tmp_path)]
    environment = {**os.environ, "LAYER_FAST_THREADS": "2"}
    parent = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    path = tmp_path / "validation_tool_quick.json"
    try:
        end = time.monotonic() + 120
        while not path.exists():
            assert parent.poll() is None and time.monotonic() < end
            time.sleep(0.1)
        family = children(parent.pid)
        assert len(family) >= 2
    finally:
        parent.kill()
        parent.wait()
    end = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in family):
        assert time.monotonic() < end, "a worker waits for ever"
        time.sleep(0.1)
    held = json.loads(path.read_text())
    assert held["complete"] is False and 0 < len(held["units"]) < 54


def children(parent: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=True)
    return [int(pid) for pid in found.stdout.split()]
