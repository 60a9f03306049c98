"""`make gpu-cohort` from end to end on tiny sizes and the CPU, where Python has no more than on a GPU machine."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import bench_gpu_cohort as bench
import layer_fast
import page
from layer_fast.engines import cuda
from pages import gpu_cohort as page_gpu_cohort

pytest.importorskip("torch")
pytest.importorskip("nibabel")
from on_gpu import cohort_inputs, cohort_ours, cohort_result, cohort_script

# What a GPU machine that reaches no registry lacks: docs/guides/gpu.md.
ABSENT = ("monai", "captum", "cyclopts", "jinja2", "statsmodels", "openvino", "matplotlib", "rich", "pandas",
          "onnxscript", "sklearn", "pydicom", "tensorrt", "tensorrt_rtx")  # fmt: skip
HIDE = f"""
import sys
from importlib.machinery import PathFinder
class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {ABSENT!r} else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Without
"""


@dataclasses.dataclass(frozen=True)
class Measured:
    options: list[str]
    folders: cohort_inputs.Folders
    out: Path
    code: int

    @property
    def found(self) -> dict[str, Any]:
        return dict(json.loads(self.out.read_text()))

    @property
    def settings(self) -> cohort_inputs.Settings:
        return cohort_inputs.Settings.read(self.folders.settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """One uninterrupted measurement; every step is a process that sees only the packages of a GPU machine."""
    root = tmp_path_factory.mktemp("gpu_cohort")
    (root / "hide").mkdir()
    (root / "hide" / "sitecustomize.py").write_text(HIDE)
    work, out = root / "work", root / "x.json"
    options = ["--device", "cpu", "--quick", "--commit", "abc", "--work", str(work), "--out", str(out)]
    python = str(Path(layer_fast.__file__).resolve().parents[1])  # the package under test, built in place or installed
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LAYER_FAST_REQUIRE_CUDA", raising=False)
        sites = [str(root / "hide"), python, os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(site for site in sites if site))
        code = bench.main(options)
    return Measured(options, cohort_inputs.Folders(work), out, code)


def other_run(whole: Measured, root: Path, **changes: Any) -> tuple[Any, Any]:
    """Settings and folders of a measurement of its own that has the inputs of the first."""
    folders = cohort_inputs.Folders(root)
    settings = dataclasses.replace(whole.settings, **changes)
    settings.write(folders.settings)
    folders.scans(settings.work).symlink_to(whole.folders.scans(settings.work))
    folders.models.symlink_to(whole.folders.models)
    assert cohort_inputs.make(settings, folders, 60)
    return settings, folders


def test_it_measures_compares_and_says_what_it_is(whole: Measured) -> None:
    found = whole.found
    assert whole.code == 0 and found["complete"] and found["agreed"] is True
    assert (found["device"], found["quick"], found["machine"]["commit"]) == ("cpu", True, "abc")
    cohort = found["cohort"]
    assert cohort["scans"] == 12 == sum(cohort["counts"].values()) and cohort["engine"]["engine"] == "onnxruntime"
    assert cohort["scans_per_second"] > 0 and cohort["whole_scans_per_second"] > 0
    assert cohort["peak_device_mb"] is None, "nothing is said of a card that is not there"
    assert {"read", "prepare", "segment", "explain", "reduce"} <= set(cohort["ms_per_scan"])
    assert cohort["bottleneck"] in cohort["ms_per_scan"] and found["stages"]["bottleneck"]
    assert set(found["script"]) == {"float32", "ahead"} and found["stages"]["scans"] == 4
    for side in found["script"].values():
        assert side["name"] == "PyTorch" and "No module named 'captum'" in side["why_not_monai"]
        assert side["scans_per_second"] > 0 and side["agreement"]["scans"] == 4
    assert found["script"]["float32"]["agreement"]["tolerance"] == 1e-3
    text = page_gpu_cohort.summary(found)
    assert "no GPU: the CPU, for a test" in text and "bottleneck with one lane" in text
    with pytest.raises(ValueError, match="found one of --quick"):
        page.fill("<!-- generated: gpu_cohort -->\n<!-- end: gpu_cohort -->", {"gpu_cohort": found})


def test_the_page_shows_a_full_result(whole: Measured) -> None:
    card = {"name": "NVIDIA X", "compute_capability": "9.0", "memory_gb": 1.0}
    machine = {**whole.found["machine"], "gpus": [card], "cuda_of_driver": "13.0"}
    found = {**whole.found, "device": "cuda", "quick": False, "machine": machine}
    text = page.fill("<!-- generated: gpu_cohort -->\n<!-- end: gpu_cohort -->", {"gpu_cohort": found})
    assert "NVIDIA X (compute capability 9.0" in text and "agrees over 4 scans" in text
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in rows}) <= 1
    assert "Not run yet: no gpu_cohort.json" in page.fill(text, {})


def test_the_same_command_has_nothing_left_to_do(whole: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    before = whole.found

    def no(*_: Any, **__: Any) -> Any:
        raise AssertionError("a step was run again")

    monkeypatch.setattr(bench, "_child", no)
    assert bench.main(whole.options) == 0 and whole.found == before


def test_a_run_that_was_stopped_goes_on(whole: Measured, tmp_path: Path) -> None:
    settings, folders = other_run(whole, tmp_path / "work")
    first = cohort_ours.part(settings, folders, 0.0)
    cohort_result.add_part(folders, first)
    assert 0 < first["scans"] < 12 and not first["complete"] and first["counts"]["pending"] == 12 - first["scans"]
    second = cohort_ours.part(settings, folders, 600.0)
    cohort_result.add_part(folders, second)
    assert second["complete"] and first["scans"] + second["scans"] == 12
    one, other = ((f.out / "layers.parquet").read_bytes() for f in (whole.folders, folders))
    assert one == other
    found = cohort_result.gathered(folders)
    assert found["cohort"]["parts"] == 2 and found["cohort"]["scans"] == 12
    assert not found["complete"] and found["agreed"] is None and "Not complete" in page_gpu_cohort.summary(found)


def test_the_script_and_the_inputs_go_on(whole: Measured, tmp_path: Path) -> None:
    settings, folders = other_run(whole, tmp_path / "work", script="plain")
    assert cohort_script.run(settings, folders, "ahead", 0.0) == {"scans": 1}
    assert cohort_script.run(settings, folders, "ahead", 60.0) == {"scans": 4}
    held = [json.loads((f.run / "script_ahead.json").read_text())["scans"] for f in (folders, whole.folders)]
    numbers = [[row["numbers"] for row in rows] for rows in held]
    assert cohort_result.agreement(numbers[0], numbers[1], 1e-6)["agrees"], "the scans are the same and in order"
    scans = tmp_path / "scans"
    paths = cohort_inputs.scans(settings.work, scans, 3, 60)
    data = [path.read_bytes() for path in paths]
    assert len(set(data)) == 3, "no two files are alike"
    marks = [path.stat().st_mtime_ns for path in paths]
    paths[1].unlink()
    again = cohort_inputs.scans(settings.work, scans, 3, 60)
    assert [path.read_bytes() for path in again] == data
    assert [path.stat().st_mtime_ns == mark for path, mark in zip(again, marks, strict=True)] == [True, False, True]


def test_other_settings_begin_anew_and_a_foreign_folder_is_left_alone(whole: Measured, tmp_path: Path) -> None:
    _, folders = other_run(whole, tmp_path / "work", commit="an older one")
    options = bench._options([*whole.options, "--work", str(folders.root)])
    bench.begin(options, folders)
    assert cohort_inputs.Settings.read(folders.settings).commit == "abc" and not folders.table.exists()
    bench.begin(options, folders)
    (folders.run / "part_0000.json").write_text("{}")
    bench.begin(options, folders)
    assert (folders.run / "part_0000.json").exists(), "the same measurement goes on"
    folders.settings.unlink()
    with pytest.raises(SystemExit, match=r"found no settings\.json"):
        bench.begin(options, folders)
    assert (folders.run / "part_0000.json").exists()


@pytest.mark.parametrize("name", cohort_result.NUMBERS)
def test_a_script_that_differs_gets_no_time(whole: Measured, name: str) -> None:
    script = json.loads((whole.folders.run / "script_float32.json").read_text())
    ours = cohort_ours.numbers(whole.folders, 4)
    engine = whole.found["cohort"]["engine"]
    assert "scans_per_second" in cohort_result.compared(script, "float32", ours, engine)
    changed = script["scans"][2]["numbers"]
    scale = np.abs(ours["scan00002"]["max" if name == "min" else name]).max()
    for much in (0.01, np.nan):
        changed[name] = (np.asarray(ours["scan00002"][name]) + much * scale).tolist()
        found = cohort_result.compared(script, "float32", ours, engine)
        assert not found["agreement"]["agrees"] and "scans_per_second" not in found and "ms" not in found
        json.dumps(found, allow_nan=False)
    half = cohort_result.compared(script, "float32", ours, {**engine, "precision": "mixed"})
    assert half["agreement"]["tolerance"] == 5e-2


def test_maps_of_zeros_compare_nothing(whole: Measured) -> None:
    ours = cohort_ours.numbers(whole.folders, 4)["scan00000"]
    assert cohort_result.agreement([ours], [ours], 1e-3)["agrees"]
    zero = ours | {name: np.zeros(7) for name in ("mean", "std", "min", "max")}
    assert not cohort_result.agreement([zero], [zero], 1e-3)["agrees"]
    assert not cohort_result.agreement([], [], 1e-3)["agrees"]


def test_a_run_that_lands_on_the_cpu_is_refused(whole: Measured) -> None:
    watch = cohort_ours.Watch(dataclasses.replace(whole.settings, device="cuda"), whole.folders, 60)
    watch(1, 12, SimpleNamespace(status="ok"))
    assert watch.stop.is_set() and "expected a run on cuda, it is on the CPU with onnxruntime" in watch.refused


def test_without_a_gpu_one_sentence_and_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not cuda.driver().missing:
        pytest.skip("there is a GPU")
    out, work = tmp_path / "x.json", tmp_path / "work"
    places = ["--out", str(out), "--work", str(work)]
    monkeypatch.setenv("LAYER_FAST_REQUIRE_CUDA", "1")
    assert bench.main(places) == 1
    said = capsys.readouterr().err
    assert said.startswith("no GPU to measure on: no NVIDIA driver") and said.count("\n") == 1
    assert bench.main(["--device", "cpu", "--quick", *places]) == 1
    assert "LAYER_FAST_REQUIRE_CUDA=1 asks for a GPU" in capsys.readouterr().err
    monkeypatch.setattr(cuda, "driver", lambda: cuda.Driver((13, 0), (), None))
    assert "arrays would stay with the host" in bench.refusal("cuda")
    monkeypatch.setattr(bench, "_there", lambda name: name != "nibabel")
    assert "lacks nibabel: pack them with benchmarks/gpu_site.sh" in bench.refusal("cuda")
    assert not out.exists() and not work.exists()


def test_small_sizes_and_the_cpu_stay_off_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--device", "cpu"], ["--quick"], ["--scans", "51", "--rows", "50"]):
        with pytest.raises(SystemExit):
            bench.main(options)
    said = capsys.readouterr().err
    for words in ("--device cpu is for --quick", "--quick needs --out elsewhere", "at most the 50 rows"):
        assert words in said


def test_a_lost_scan_ends_the_command(whole: Measured, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It is named, and nothing counts as complete."""
    _, folders = other_run(whole, tmp_path / "work")
    folders.table.write_text(folders.table.read_text().replace("scan_0003", "scan_none", 1))
    options = [*whole.options, "--work", str(folders.root), "--out", str(tmp_path / "x.json")]
    assert bench.main(options) == 1
    assert "cohort: scan00003: " in capfd.readouterr().err and not cohort_result.parts(folders)[-1]["complete"]


def test_a_step_that_hangs_is_ended(whole: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*_: Any, **given: Any) -> Any:
        raise subprocess.TimeoutExpired("x", given["timeout"])

    monkeypatch.setattr(subprocess, "run", hangs)
    assert bench._child("cohort", 1.0, bench._options(whole.options)) == 1


def test_the_networks_are_monais(whole: Measured) -> None:
    """The same parameters in the same order, and the same numbers; of the full size the shapes."""
    pytest.importorskip("monai")
    import torch

    import headline_nets
    from on_gpu import cohort_nets

    with torch.inference_mode():
        for work in (headline_nets.QUICK, headline_nets.FULL):
            ours = cohort_nets.networks(work.channels, work.width)
            for a, b in zip(ours, headline_nets.torch_networks(work), strict=True):
                cohort_nets.give_weights(a, b)
                x = torch.rand(2, 1, *headline_nets.QUICK.model)
                torch.testing.assert_close(a(x), b(x), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="expected parameters of shapes"):
        cohort_nets.give_weights(ours[0], ours[1])


def test_monais_script_gives_the_same_numbers(whole: Measured) -> None:
    pytest.importorskip("monai")
    pytest.importorskip("captum")
    assert cohort_script.which("auto")[0] is cohort_script.Monai
    ours, rows = cohort_ours.numbers(whole.folders, 2), []
    side = cohort_script.Monai(whole.settings.work, "cpu")
    for i in range(2):
        clock = cohort_script.Clock("cpu")
        rows.append(side.scan(side.load(cohort_script._file(whole.settings, whole.folders, i)), clock))
        assert "explain: LayerGradCam" in clock.stages
    assert cohort_result.agreement(rows, [ours[f"scan{i:05}"] for i in range(2)], 1e-3)["agrees"]
