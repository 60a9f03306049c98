"""The benchmark of the graphs runs: a tiny network, two rounds; its numbers mean nothing here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the benchmark compares with torch")
pytest.importorskip("onnxscript", reason="the networks are exported with torch.onnx, which needs onnxscript")
pytest.importorskip("captum", reason="the benchmark compares with Captum")
import bench_graphs
import interleaved


def test_quick_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench_graphs.main(["--quick", "--out", str(tmp_path)])
    found = json.loads((tmp_path / "graphs_cpu.json").read_text())
    (gradient,), (cam,) = found["gradient"], found["gradcam"]
    assert gradient["l2_against_torch"]["onnxruntime"] <= bench_graphs.AGREE
    assert set(gradient["torch_over_engine"]) == set(bench_graphs.engines())
    assert cam["map_over_alone"]["onnxruntime"]["median"] > 0
    assert found["machine"]["versions"]["onnxruntime"] and found["rounds"] == 2
    printed = capsys.readouterr().out
    assert printed.count("| ---") == 2 and gradient["network"] in printed


def test_a_wrong_graph_is_not_timed() -> None:
    case = bench_graphs.graph_cases.QUICK[0]
    with pytest.raises(SystemExit, match="differs from PyTorch"):
        bench_graphs._agreeing(case, lambda seed: ({}, {"onnxruntime": 0.5}))


def test_turns_and_ratios_are_paired() -> None:
    calls: list[str] = []
    times = interleaved.race({name: (lambda n=name: calls.append(n)) for name in "abc"}, rounds=3, warmup=1)
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab"
    assert all(len(values) == 3 for values in times.values())
    paired = interleaved.ratio({"a": [2.0, 9.0, 4.0], "b": [1.0, 3.0, 4.0]}, "a", "b")
    assert paired["median"] == 2.0
