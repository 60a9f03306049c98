"""What of the GPU benchmark can be tested without a GPU: the probe, agreement before times, the rivals' formulas."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench_gpu_engines as bench
from engines.gpu import emulate
from layer_fast.engines import cuda, open_engine
from layer_fast.engines.choice import relative_l2
from on_gpu import probe

SIDE = 32


def test_the_probe_runs_where_the_library_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    emulate(monkeypatch, tmp_path / "cache")
    found = probe.probe()
    assert found["runs"] and found["message"] == "ok" and set(found["attempts"]) == {"8.6", "portable", "8.0"}
    assert found["attempts"]["portable"]["l2"] < 1e-6 and found["library"]["version"] == "1.7.1"


def test_the_probe_keeps_the_exact_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpu = emulate(monkeypatch, tmp_path / "cache", gpu=cuda.Gpu("NVIDIA H200", (9, 0), 139 << 30))
    gpu.tensorrt.diagnostics = 2
    found = probe.probe()
    assert not found["runs"] and "it says UNSUPPORTED_CC" in found["message"]
    assert set(found["attempts"]) == {"9.0", "portable", "8.0"} and found["attempts"]["8.0"]["built_bytes"] > 0
    assert json.loads(json.dumps(found)) == found


def test_a_process_that_dies_is_a_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "dies.py"
    script.write_text("import os, sys; print('words', file=sys.stderr, flush=True); os.abort()")
    monkeypatch.setattr(probe, "__file__", str(script))
    found = probe.in_own_process()
    assert not found["runs"] and "the process ended with -6: words" in found["message"]
    script.write_text("import time; time.sleep(60)")
    assert "no answer within 1 s" in probe.in_own_process(1)["message"]


@pytest.fixture(scope="module")
def small() -> tuple[Any, Any]:
    pytest.importorskip("torch")
    return bench.network("ResNet", SIDE)


@pytest.mark.parametrize("kind", bench.KINDS)
def test_rivals_compute_what_our_graphs_do(small: tuple[Any, Any], kind: str) -> None:
    net, model = small
    feeds = {"image": np.random.default_rng(0).random((2, 1, *[SIDE] * 3), np.float32)}
    call = bench.engine_rivals.calls(net, feeds["image"], kind, compiled=False, half=False, device="cpu")
    if kind != "forward":
        feeds["cotangent"] = np.eye(2, dtype=np.float32)[[1, 1]]
    ours = open_engine("onnxruntime", bench.graph_of(model, kind), threads=1, label=kind).run(
        feeds, bench.OUTPUTS[kind]
    )
    for a, b in zip(bench.engine_rivals.to_numpy(call()), ours, strict=True):
        assert relative_l2(a, b) < 1e-3


def test_who_is_wrong_or_fails_has_no_time(small: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    case = bench.Case("ResNet", SIDE, 2, "gradcam")
    _, model = small
    feeds = {"image": np.random.default_rng(3).random((2, 1, *[SIDE] * 3), np.float32),
             "cotangent": np.eye(2, dtype=np.float32)[[1, 1]]}  # fmt: skip
    engine = open_engine("onnxruntime", bench.graph_of(model, "gradcam"), threads=1, label="x")
    right = tuple(engine.run(feeds, ("logits", "cam")))
    wrong = (right[0], right[1] * 1.1)

    def fails() -> Any:
        raise RuntimeError("no kernel")

    makers = {"right": lambda: lambda: right, "wrong": lambda: lambda: wrong, "right half": lambda: lambda: right,
              "fails": fails, "nan": lambda: lambda: (right[0] * np.nan, right[1])}  # fmt: skip
    monkeypatch.setattr(bench, "contestants", lambda *_: iter(makers.items()))
    options = types.SimpleNamespace(network=lambda *_: small, rounds=2, seconds=1.0)
    row = bench.measure(case, options)
    assert set(row["milliseconds"]) == {"right", "right half"} and set(row["left_out"]) == {"wrong", "fails", "nan"}
    assert "RuntimeError: no kernel" in row["left_out"]["fails"] and "differs by" in row["left_out"]["wrong"]
    assert "| ResNet 32³, gradcam, batch 2 |" in bench.text([row])


def test_without_a_gpu_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not cuda.driver().missing:
        pytest.skip("there is a GPU")
    assert bench.main(["--out", str(tmp_path / "x.json")]) == 1
    assert "no NVIDIA driver" in capsys.readouterr().err and not (tmp_path / "x.json").exists()
