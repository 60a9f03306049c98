"""The GPU side of `make gpu-cohort` on an emulated GPU: the engine that `auto` takes, the card's memory, refusals."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import resident
from engines.gpu import Emulated, emulate
from layer_fast.engines import choice, cuda, placing

pytest.importorskip("torch")
pytest.importorskip("nibabel")
import bench_gpu_cohort as bench
from on_gpu import cohort_ours, cohort_result
from on_gpu.cohort_inputs import Folders, Settings, make

SETTINGS = Settings("cuda", True, 2, 6, 2, 2, 1, "plain", "abc", ("NVIDIA Emulated 6000",))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    made = Folders(tmp_path_factory.mktemp("gpu_cohort"))
    SETTINGS.write(made.settings)
    assert make(SETTINGS, made, 60)
    return made


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Emulated:
    for name in (choice.VARIABLE, placing.DEVICE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    made = emulate(monkeypatch, tmp_path / "cache")
    resident.use(monkeypatch, made.machine)
    return made


def test_a_part_on_the_gpu(folders: Folders, gpu: Emulated) -> None:
    cpu = Settings(**{**vars(SETTINGS), "device": "cpu"})
    assert bench.refusal("cuda") == ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(choice.VARIABLE, "onnxruntime")
        assert cohort_ours.part(cpu, folders, 60)["engine"]["engine"] == "onnxruntime"
    expected = list(cohort_ours.numbers(folders, 2).values())
    (folders.out / "run.json").unlink()  # it would go on with its engine
    found = cohort_ours.part(SETTINGS, folders, 60)
    assert found["complete"] and found["scans"] == 6 and found["steady_scans"] == 4
    assert (found["engine"]["engine"], found["engine"]["precision"]) == ("tensorrt", "mixed")
    assert found["engine"]["arrays"] == "cuda" and found["engine_choice"]["device"] == "cuda"
    assert found["memory"] == {"before_mb": 8589.9, "peak_mb": 8589.9}, "of 16 GiB 8 are free in the emulation"
    ours = list(cohort_ours.numbers(folders, 2).values())
    assert cohort_result.agreement(ours, expected, cohort_result.TOLERANCE["other"])["agrees"]
    gathered = cohort_result.cohort([found, found])
    assert gathered["peak_device_mb"] == 8589.9 and gathered["scans"] == 12
    stages = cohort_ours.staged(SETTINGS, folders)
    assert stages["scans"] == 2 and not stages["waited"] and stages["stages"]["segment"] > 0


def test_the_largest_use_of_the_card_is_seen(gpu: Emulated, monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"gib": 10}
    monkeypatch.setattr(gpu.cupy.cuda.runtime, "memGetInfo", lambda: (free["gib"] << 30, 16 << 30))  # type: ignore[attr-defined]
    with cohort_ours.DeviceMemory("cuda") as memory:
        free["gib"], largest, end = 3, round(13 * 2**30 / 1e6, 1), time.monotonic() + 60
        while memory.peak_mb != largest and time.monotonic() < end:
            time.sleep(0.01)
        free["gib"] = 9
        time.sleep(3 * cohort_ours.EVERY_S)
    assert memory.before_mb == round(6 * 2**30 / 1e6, 1) and memory.peak_mb == largest


def test_a_card_that_no_engine_serves_gives_no_number(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """torch and ONNX Runtime here have no CUDA, so `auto` ends on the CPU."""
    monkeypatch.setenv(choice.VARIABLE, "auto")
    gpu = emulate(monkeypatch, tmp_path / "cache", gpu=cuda.Gpu("NVIDIA H200", (9, 0), 139 << 30))
    gpu.tensorrt.diagnostics = 2
    other = Folders(tmp_path / "work")
    SETTINGS.write(other.settings)
    other.scans(SETTINGS.work).symlink_to(folders.scans(SETTINGS.work))
    other.models.symlink_to(folders.models)
    assert make(SETTINGS, other, 60)
    found = cohort_ours.part(SETTINGS, other, 60)
    assert set(found) == {"refused"} and "expected a run on cuda, it is on the CPU with" in found["refused"]
    assert "tensorrt on cuda: " in found["refused"] and not other.out.exists()
    assert "expected a run on cuda" in cohort_ours.staged(SETTINGS, other)["refused"]
