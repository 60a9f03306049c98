"""The benchmarks run, on small sizes: every case agrees with its oracle and with every rival that is installed."""

from __future__ import annotations

import json
import re
import shutil
import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cases
import compare
import headline
import headline_sides
import inputs
import page
import rivals
import run_ops
from measuring import machine, one_case, turns
from measuring.verify import difference, relative_l2
from pages import headline as page_headline

PAGE = Path(page.__file__).with_name("README.md")
FOLDER = PAGE.parent
ALL = cases.all_cases()


@pytest.mark.parametrize("name", ALL)
def test_case_agrees_with_oracle_and_rivals(name: str) -> None:
    given = ALL[name].build(inputs.QUICK).inputs
    before = deepcopy(given)
    row = one_case.measure(ALL[name], inputs.QUICK, (1,), 1, 0.02)
    assert "failed" not in row
    for key, value in before.items():
        np.testing.assert_array_equal(given[key], value, err_msg=f"somebody changed the input {key}")
    wrong = {who: found for who, found in row["verification"].items() if not found["agrees"]}
    assert wrong == {}
    timed = row["threads"]["1"]
    assert set(timed) == set(row["verification"]) - {"oracle"} | {"layer_fast"}
    assert timed["layer_fast"]["ms"]["median"] > 0
    here = {label for label, _, _ in one_case.contestants(ALL[name].kind)} | set(ALL[name].build(inputs.QUICK).also)
    absent = [rival for rival, why in machine.rivals().items() if "missing" in why and ALL[name].kind in kinds(rival)]
    written = "".join((FOLDER / "rivals" / f"{rival}.py").read_text() for rival in absent)
    for goal in ALL[name].goals:
        assert goal in here or f'"{goal}"' in written, f"{goal}: nobody is called that"


def kinds(rival: str) -> list[str]:
    return rivals.NAMES[rival].split()


def test_a_missing_rival_excuses_no_misspelt_goal(monkeypatch: pytest.MonkeyPatch) -> None:
    """MONAI's goals stay known where it is missing; a label that is written nowhere does not."""
    real = rivals.load

    def load(name: str) -> rivals.Rival:
        gone = rivals.Rival(name, "", {}, lambda _: None, missing="No module named")
        return gone if name == "monai" else real(name)

    monkeypatch.setattr(rivals, "load", load)
    monkeypatch.setattr(machine, "load", load)
    test_case_agrees_with_oracle_and_rivals("zscore_u8")
    monkeypatch.setitem(ALL, "zscore_u8", replace(ALL["zscore_u8"], goals={"MONAI NormaliseIntensity": (50, 100)}))
    with pytest.raises(AssertionError, match="nobody is called that"):
        test_case_agrees_with_oracle_and_rivals("zscore_u8")


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
    assert not difference({"a": good, "b": bad}, {"a": good, "b": good}, "relative")[0] <= 1, "NaN in a later key"
    assert relative_l2(2 * good, good) == pytest.approx(1) and relative_l2(good[:1], good) == np.inf
    assert not relative_l2(bad, good) <= 1


def test_turns_spare_the_slow_ones() -> None:
    """One call more than the cold one that verified it, and that is what is timed."""
    called: list[str] = []
    calls = {name: (lambda n=name: called.append(n)) for name in ("fast", "slow")}
    times = turns.take_turns(calls, 5, 1.0, {"slow": 2.0})
    assert len(times["slow"]) == 1 and times["slow"][0] < 1000 and called.count("slow") == 1
    assert len(times["fast"]) == 5 and called.count("fast") == 6
    calls["fast"] = lambda: time.sleep(0.002)
    assert len(turns.take_turns(calls, 9, 0.001, {})["fast"]) == 3, "the time is used, but three rounds are had"


def test_turns_change_and_ratios_are_paired() -> None:
    called: list[str] = []
    times = turns.take_turns({name: (lambda n=name: called.append(n)) for name in "abc"}, rounds=3)
    assert "".join(called) == "abc" + "abc" + "bca" + "cab"
    assert all(len(values) == 3 for values in times.values())
    assert turns.paired({"a": [2.0, 9.0, 4.0], "b": [1.0, 3.0, 4.0]}, "a", "b")["median"] == 2.0
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

    def child(module: str, arguments: Any, heap: str = "default") -> Any:
        started.append(arguments[:1])
        facts = {"machine": machine.facts(), "rivals": {"liar": {"missing": "no such module"}}}
        return facts if module == "measuring.machine" else real(module, arguments, heap)

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
    assert "MONAI + PyTorch" in text and "MB open" not in text, "no column without numbers"
    found["memory_mb"] = {"monai": {"open": 7, "scan": 5}, "onnxruntime": {"failed": "exit 1"}}
    text = page.fill(PAGE.read_text(), {"headline": found})
    well_formed(text)
    assert "| 7 + 5 |" in text and "| - + - |" in text
    found["memory_mb"] = {name: {"failed": "exit 1"} for name in found["memory_mb"]}
    assert "MB open" not in page.fill(PAGE.read_text(), {"headline": found})


def per_label_table(**more: Any) -> dict[str, Any]:
    numbers = {name: np.array([3.0, 2.0, np.nan]) for name in ("count", "mean", "std", "min", "max")}
    return numbers | {"labels": np.zeros((2, 3)), "score": np.array([0.5, -1.0])} | more


@pytest.mark.parametrize("name", ["count", "mean", "std", "min", "max", "score"])
def test_the_headline_compares_every_number(name: str) -> None:
    theirs = per_label_table()
    same = headline_sides.agreement(per_label_table(), theirs)
    assert headline._verdict([same], 1e-3)["agrees"] and max(same[key] for key in same if key != "labels_agree") == 0
    for factor in (1.01, np.nan):
        apart = headline_sides.agreement(
            per_label_table(**{name: theirs[name] * [1, factor, 1][: len(theirs[name])]}), theirs
        )
        for found in ([apart, same], [same, apart]):
            assert not headline._verdict(found, 1e-3)["agrees"]
            json.dumps(headline._verdict(found, 1e-3), allow_nan=False)


def test_times_faster_is_median_over_median() -> None:
    """Not the median of the ratios, which is 2 here."""
    totals = {"monai": [4.0, 6.0, 9.0], "ours": [2.0, 1.0, 9.0]}
    sides = {name: headline._row([{"read: x": t} for t in all_of], [{"a": t} for t in totals["monai"]])
             for name, all_of in totals.items()}  # fmt: skip
    assert page_headline.faster({"sides": sides}, "ours") == pytest.approx(3)
    assert sides["ours"]["times_faster"]["median"] == 2
