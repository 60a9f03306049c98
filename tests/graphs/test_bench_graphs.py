"""The benchmark of the graphs runs: a tiny network, two rounds; its numbers mean nothing here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the benchmark compares with torch")
pytest.importorskip("onnxscript", reason="the networks are exported with torch.onnx, which needs onnxscript")
pytest.importorskip("captum", reason="the benchmark compares with Captum")
import bench_graphs


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
    good = {"onnxruntime": 1e-7, "openvino": 1e-7}
    assert bench_graphs._agreeing(case, lambda seed: ({}, good, good)) == ({}, good, good)
    for bad in ({"onnxruntime": 0.5}, {"onnxruntime": 0.001, "openvino": float("nan")}):
        for answer in (({}, good, bad), ({}, bad, good)):
            with pytest.raises(SystemExit, match="differs from PyTorch"):
                bench_graphs._agreeing(case, lambda seed, answer=answer: answer)


@pytest.mark.parametrize("part", ["gradient", "gradcam"])
def test_wrong_logits_are_seen(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """An engine whose derivative is right and whose logits are not."""
    case = bench_graphs.graph_cases.QUICK[0]
    net, model = bench_graphs.graph_cases.build(case)
    real = bench_graphs._call

    def off(session: Any, feeds: Any, outputs: Any) -> Any:
        call = real(session, feeds, outputs)
        return lambda: tuple(value + (name == "logits") for name, value in zip(outputs, call(), strict=True))

    monkeypatch.setattr(bench_graphs, "_call", off)
    row = {"gradient": bench_graphs.gradient_row, "gradcam": bench_graphs.cam_row}[part]
    with pytest.raises(SystemExit, match="logits by"):
        row(case, net, model, 1, 1)
