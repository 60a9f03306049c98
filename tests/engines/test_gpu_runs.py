"""Whole tiny cohorts on an emulated GPU: the tables of the CPU, what the run says of itself, what a machine offers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest

import tolerances
from engines.gpu import CARD, emulate
from layer_fast import info
from layer_fast.cli import main
from layer_fast.cohort import run_cohort
from layer_fast.engines import choice, cuda, inventory, placing
from layer_fast.engines.reasons import Unusable
from layer_fast.errors import EngineError

METHODS = {"methods": ("gradcam", "gradient", "layer_shapley")}


def written(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "run.json").read_text()))


def values(out: Path) -> np.ndarray:
    column = parquet.read_table(out / "layers.parquet")["value"].to_pylist()
    return np.array([np.nan if v is None else v for v in column], float)


@pytest.mark.parametrize("rtx", [True, False], ids=["rtx", "full"])
def test_a_run_on_the_gpu_gives_the_tables_of_the_cpu(
    models: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rtx: bool
) -> None:
    run_cohort(table, models, tmp_path / "cpu", {**METHODS, "engine": "onnxruntime"})
    gpu = emulate(monkeypatch, tmp_path / "cache", rtx=rtx)
    config = {**METHODS, "engine": "tensorrt", "precision": "float32", "lanes": 2, "scan_batch": 2}
    assert run_cohort(table, models, tmp_path / "gpu", config).exit_code == 0
    expected, found = values(tmp_path / "cpu"), values(tmp_path / "gpu")
    bound = tolerances.ENGINE_TABLES * max(1.0, np.nanmax(np.abs(expected)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)
    facts = written(tmp_path / "gpu")["engine"]
    assert facts["version"] == ("tensorrt_rtx 1.7.1" if rtx else "tensorrt 10.14.1")
    assert facts["device"] == "cuda" and facts["compute_capability"] == "8.6"
    graphs = 4  # segmenter; forward, gradcam and gradient of the classifier
    assert len(gpu.tensorrt.named("build")) == len(list(gpu.cache.glob("*.engine"))) == graphs


def test_auto_takes_the_gpu_in_mixed_precision_and_goes_on_with_it(
    models: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (choice.VARIABLE, placing.DEVICE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    emulate(monkeypatch, tmp_path / "cache")
    assert run_cohort(table, models, tmp_path / "out", METHODS).exit_code == 0
    run = written(tmp_path / "out")
    assert run["engine_choice"]["chosen"] == "tensorrt" and run["engine_choice"]["device"] == "cuda"
    assert run["engine"]["precision"] == "mixed"
    (figures,) = run["precision_agreement"].values()
    assert set(figures) == {"forward", "gradcam"}, "gradients are float32"
    assert 0 < figures["forward"]["logits_l2"] < 1e-2 and figures["gradcam"]["map_cosine"] > 0.999
    assert run_cohort(table, models, tmp_path / "out", METHODS).reused == 3
    monkeypatch.setattr(cuda, "driver", lambda: cuda.Driver((0, 0), (), Unusable("no_driver")))
    with pytest.raises(EngineError, match=r"this run used engine 'tensorrt' on cuda.*no NVIDIA driver"):
        run_cohort(table, models, tmp_path / "out", METHODS)
    assert run_cohort(table, models, tmp_path / "out", {**METHODS, "engine": "onnxruntime"}).reused == 0


def test_a_library_that_does_not_serve_the_card_is_left_out_in_the_run(
    models: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it may be on a card that TensorRT-RTX names no target for: torch and ONNX Runtime here have no CUDA."""
    for name in (choice.VARIABLE, placing.DEVICE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    gpu = emulate(monkeypatch, tmp_path / "cache", gpu=cuda.Gpu("NVIDIA H200", (9, 0), 139 << 30))
    gpu.tensorrt.diagnostics = 2
    assert run_cohort(table, models, tmp_path / "out", {"methods": ("gradcam",)}).exit_code == 0
    run = written(tmp_path / "out")
    left_out = run["engine_choice"]["left_out"]
    assert {"tensorrt on cuda", "torch on cuda", "onnxruntime on cuda"} <= set(left_out)
    why = "does not run on compute capability 9.0 (NVIDIA H200): it says UNSUPPORTED_CC"
    assert why in left_out["tensorrt on cuda"]
    assert "device" not in run["engine"] and "on the CPU" in run["engine_choice"]["why"]


def test_the_command_names_what_to_type(
    models: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda, "driver", lambda: cuda.Driver((0, 0), (), Unusable("no_driver")))
    out = ["--models", str(models), "--out", str(tmp_path / "out"), "--engine", "tensorrt"]
    assert main(["run", str(table), *out]) == 1
    error = capsys.readouterr().err
    assert "no NVIDIA driver on this machine" in error and "next: --engine torch --device cuda" in error
    assert main(["run", str(table), *out[:-1], "onnxruntime", "--device", "cuda"]) == 1
    assert "next: --device cpu" in capsys.readouterr().err


def test_available_names_cards_and_engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = info.available()["gpu"]
    assert set(found) == {"cuda", "gpus", "missing", "engines"}
    emulate(monkeypatch, tmp_path / "cache")
    versions = {"onnxruntime": "1.2", "torch": "2.9.0+cpu", "tensorrt": "1.7.1"}
    monkeypatch.setattr(inventory, "available_engines", lambda: versions)
    found = inventory.gpus()
    assert found["gpus"] == [{"name": CARD.name, "compute_capability": "8.6", "memory_gb": 17.2}]
    assert found["cuda"] == "13.0" and found["missing"] is None
    assert found["engines"]["tensorrt"] == "1.7.1"
    assert "this PyTorch finds no CUDA device (torch 2.9.0+cpu)" in found["engines"]["torch"]
    monkeypatch.setattr(inventory, "_has_cuda_provider", lambda: False)
    assert "pip install onnxruntime-gpu" in inventory.gpus()["engines"]["onnxruntime"]


def test_doctor_shows_the_gpu(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    emulate(monkeypatch, tmp_path / "cache")
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert f"GPU: {CARD.name}, compute capability 8.6" in shown and "✓ tensorrt on the GPU 1.7.1" in shown
    monkeypatch.setattr(cuda, "driver", lambda: cuda.Driver((0, 0), (), Unusable("no_driver")))
    assert main(["doctor"]) == 0
    assert "GPU: none: no NVIDIA driver on this machine" in capsys.readouterr().out
