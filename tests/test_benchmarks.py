"""The benchmarks run, on small sizes: every case agrees with its oracle and with every rival that is installed."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cases
import compare
import headline
import inputs
import machine
import one_case
import page
import rivals
import run_ops
import turns
from verify import difference

PAGE = Path(page.__file__).with_name("README.md")
ALL = cases.all_cases()


@pytest.fixture(scope="module")
def rows() -> dict[str, Any]:
    """Every case once, filled as the tests below measure it."""
    return {}


@pytest.mark.parametrize("name", ALL)
def test_case_agrees_with_oracle_and_rivals(name: str, rows: dict[str, Any]) -> None:
    row = rows[name] = one_case.measure(ALL[name], inputs.QUICK, (1,), 1, 0.02)
    assert "failed" not in row
    wrong = {who: found for who, found in row["verification"].items() if not found["agrees"]}
    assert wrong == {}
    timed = row["threads"]["1"]
    assert set(timed) == set(row["verification"]) - {"oracle"} | {"layer_fast"}
    assert timed["layer_fast"]["ms"]["median"] > 0
    here = {label for label, _, _ in one_case.contestants(ALL[name].kind)}
    for goal in ALL[name].goals:
        known = goal.startswith("layer_fast") or goal in here
        assert known or any("missing" in m for m in machine.rivals().values()), f"{goal}: nobody is called that"


@pytest.mark.parametrize("name", rivals.NAMES)
def test_adapters_say_what_they_do(name: str) -> None:
    found = rivals.load(name)
    if found.missing:
        pytest.skip(f"rival {name} is missing: {found.missing}")
    assert set(rivals.NAMES[name].split()) == set(found.methods)
    assert found.version
    assert set(found.methods) <= {case.kind for case in ALL.values()}


def test_missing_rival_is_said() -> None:
    assert "No module named" in rivals.load("nobody").missing
    assert "No module named" in machine.rivals(["nobody"])["nobody"]["missing"]


def test_who_disagrees_gets_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def no() -> None:
        raise RuntimeError("no such voxel")

    wrong = rivals.Method(lambda given: lambda: np.zeros(given["shape"], np.float32))
    broken = rivals.Method(lambda _: no)
    rival = rivals.Rival("liar", "1", {"linear": {"wrong": wrong, "broken": broken}}, lambda _: None)
    monkeypatch.setattr(rivals, "NAMES", {"liar": "linear"})
    monkeypatch.setattr(rivals, "load", lambda _: rival)
    row = one_case.measure(ALL["linear_u8_128"], inputs.QUICK, (1,), 1, 0.02)
    assert set(row["threads"]["1"]) == {"layer_fast"}
    assert not row["verification"]["wrong"]["agrees"]
    assert "no such voxel" in row["verification"]["broken"]["failed"]


def test_wrong_result_of_ours_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "NAMES", {})
    case = ALL["linear_u8_128"]

    def build(size: Any) -> Any:
        work = case.build(size)
        return cases.Work(work.inputs, lambda _: np.zeros(work.inputs["shape"]), work.oracle, work.moved)

    row = one_case.measure(cases.Case(**{**vars(case), "build": build}), inputs.QUICK, (1,), 1, 0.02)
    assert "differs from the oracle" in row["failed"] and row["threads"] == {}


def test_difference_sees_faults() -> None:
    good = np.linspace(-2, 2, 60, dtype=np.float32).reshape(3, 4, 5)
    bad = good.copy()
    bad[1, 1, 1] += 0.5
    assert difference(good, good, "relative") == (0.0, [])
    assert difference(bad, good, "relative")[0] == pytest.approx(0.25)
    assert difference(bad, good, "fraction")[0] == pytest.approx(1 / 60)
    assert difference(bad[:2], good, "relative")[0] == np.inf
    assert difference({"a": good}, {"a": good, "b": bad}, "relative") == (0.0, ["b"])
    bad[2] = np.nan
    assert not difference(bad, good, "relative")[0] <= 1


def test_turns_spare_the_slow_ones() -> None:
    calls = {"fast": lambda: None, "slow": lambda: None}
    times = turns.take_turns(calls, 5, 1.0, {"slow": 2.0})
    assert times["slow"] == [2000.0] and len(times["fast"]) == 5
    found = turns.summary({"layer_fast": [1.0, 2.0, 3.0], "other": [4.0, 4.0, 6.0]}, "layer_fast")
    assert found["other"]["ratio"] == 2 and found["other"]["paired"]["median"] == 2


def test_peak_memory_sees_an_array() -> None:
    _, extra, _ = turns.peak_megabytes(lambda: np.ones(4_000_000))
    assert extra is None or 25 < extra < 60


def results(ratio: float, **more: Any) -> dict[str, Any]:
    """A file of run_ops with one case and one rival."""
    held = {"default": {"1": {"layer_fast": {}, "torch": {"ratio": ratio}, "other": {"ratio": 1.0}}}}
    case = {"goals": {"torch": [2, 3]}, "heaps": held}
    return {"format": 1, "quick": False, "machine": {"cpu": "one"}, "cases": {"linear": case}} | more


@pytest.mark.parametrize(
    ("new", "code"),
    [
        (results(10.0), 0),
        (results(7.6), 0),
        (results(7.4), 1),
        (results(10.0, cases={}), 1),
        (results(10.0, cases={"linear": {"failed": "wrong", "heaps": {}}}), 1),
        (results(10.0, quick=True), 2),
        ([1], 2),
    ],
)
def test_compare_exit_codes(tmp_path: Path, new: Any, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    paths = tmp_path / "old.json", tmp_path / "new.json"
    for path, found in zip(paths, (results(10.0), new), strict=True):
        path.write_text(json.dumps(found))
    assert compare.main([str(path) for path in paths]) == code
    if code == 1:
        assert "was 10x" in capsys.readouterr().out
    assert compare.main([str(paths[0]), str(tmp_path / "none.json")]) == 2


def test_run_writes_resumes_and_fills_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, started = run_ops.child, []

    def child(script: str, arguments: Any, heap: str = "default") -> Any:
        started.append(arguments[:1])
        facts = {"machine": machine.facts(), "rivals": {"liar": {"missing": "no such module"}}}
        return facts if script == "machine.py" else real(script, arguments, heap)

    monkeypatch.setattr(run_ops, "child", child)
    out = tmp_path / "ops_cpu.json"
    options = ["--quick", "--threads", "1", "--out", str(out)]
    run_ops.main([*options, "--cases", "compose"])
    first = json.loads(out.read_text())["cases"]
    out.write_text(out.read_text().replace('"quick": true', '"quick": false'))
    with pytest.raises(SystemExit, match="leave out --resume"):
        run_ops.main([*options, "--resume"])
    out.write_text(out.read_text().replace('"quick": false', '"quick": true'))
    monkeypatch.setattr(run_ops, "all_cases", lambda: {name: ALL[name] for name in ("compose", "weights_32")})
    started.clear()
    run_ops.main([*options, "--resume"])
    assert started == [[], ["weights_32"]]
    assert json.loads(out.read_text())["cases"]["compose"] == first["compose"]
    with pytest.raises(SystemExit, match="unknown cases nonsense"):
        run_ops.main([*options, "--cases", "nonsense"])
    assert {part for part in page.PARTS if f"<!-- generated: {part} -->" in PAGE.read_text()} == set(page.PARTS)
    copy = tmp_path / "README.md"
    shutil.copy(PAGE, copy)
    page.main(["--results", str(tmp_path), "--page", str(copy)])
    well_formed(copy.read_text())
    assert "missing: no such module" in copy.read_text() and "layer_compose, 128" in copy.read_text()
    with pytest.raises(SystemExit) as stopped:
        page.main(["--results", str(tmp_path), "--page", str(copy), "--check"])
    assert stopped.value.code == 0


def well_formed(text: str) -> None:
    """Every table has as many cells in each line; nothing generated is empty; by-hand text is still there."""
    for block in re.findall(r"(?:^\|.*\|\n?)+", text, flags=re.M):
        widths = {len(re.split(r"(?<!\\)\|", line)) for line in block.strip().splitlines()}
        assert len(widths) == 1, block[:300]
    for name in page.PARTS:
        part = text.split(f"<!-- generated: {name} -->")[1].split(f"<!-- end: {name} -->")[0]
        assert part.strip(), name
    assert "## What does not win" in text


def test_page_is_up_to_date_and_refuses_broken_markers() -> None:
    with pytest.raises(SystemExit) as stopped:
        page.main(["--check"])
    assert stopped.value.code == 0, "run benchmarks/page.py"
    with pytest.raises(ValueError, match="part 'x'"):
        page.fill("<!-- generated: x --><!-- end: x -->", {})
    with pytest.raises(ValueError, match="one end marker"):
        page.fill("<!-- generated: ops -->", {})


def test_headline_gives_the_same_numbers(tmp_path: Path) -> None:
    pytest.importorskip("monai")
    out = tmp_path / "headline_cpu.json"
    places = ["--cache", str(tmp_path / "cache"), "--out", str(out)]
    headline.main(["--quick", "--scans", "1", "--threads", "1", "--no-memory", *places])
    found = json.loads(out.read_text())
    part = found["threads"]["1"]
    assert part["agreement"]["onnxruntime"]["agrees"] and part["agreement"]["onnxruntime"]["labels_agree"] > 0.999
    assert {"monai", "onnxruntime"} <= set(part["sides"])
    text = page.fill(PAGE.read_text(), {"headline": found})
    well_formed(text)
    assert "MONAI + PyTorch" in text
