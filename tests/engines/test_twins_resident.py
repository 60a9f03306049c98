"""A run whose arrays live on the GPU, with the CUDA twins of the native operations as the emulation runs them: nothing
of the way from upload to record is stood in for but the GPU, the driver and TensorRT."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tiny
from engines.gpu import emulate
from engines.test_residence import OPTIONS, same_tables
from layer_fast import ops
from layer_fast.cohort import run_cohort

cuda_twins = pytest.importorskip("cuda_twins", reason="no CUDA twins of the native operations in this version")


def test_a_resident_run_by_the_cuda_twins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    core = cuda_twins.emulated_core()
    if isinstance(core, str):
        pytest.skip(core)
    models = tiny.write_models(tmp_path / "models", ("bmode", "both"))
    table = tiny.write_cohort(tmp_path / "cohort", 3)
    run_cohort(table, models, tmp_path / "cpu", {**OPTIONS, "engine": "onnxruntime"})
    emulate(monkeypatch, tmp_path / "cache")
    cuda_twins.use_emulation(monkeypatch, core)
    told = {**ops.build_info(), "cuda_devices": ["emulated"]}
    monkeypatch.setattr(ops, "build_info", lambda: told)
    assert run_cohort(table, models, tmp_path / "gpu", {**OPTIONS, "engine": "tensorrt"}).exit_code == 0
    assert json.loads((tmp_path / "gpu" / "run.json").read_text())["engine"]["arrays"] == "cuda"
    same_tables(tmp_path / "gpu", tmp_path / "cpu")
