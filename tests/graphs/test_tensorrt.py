"""TensorRT-RTX compiles the graphs ahead of time, which needs no GPU: a graph that it refuses is found anywhere."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import onnx
import pytest

from layer_fast import graphs

pytest.importorskip("torch", reason="the networks are exported from torch")
pytest.importorskip("onnxscript", reason="the networks are exported with torch.onnx, which needs onnxscript")
from graphs import export

KINDS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    "gradient": graphs.gradient,
    "gradcam": graphs.gradcam,
    "half": graphs.to_half,
}


@pytest.fixture(scope="module")
def tensorrt() -> ModuleType:
    for name in ("tensorrt_rtx", "tensorrt_rtx_bindings"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    pytest.skip("TensorRT-RTX is not installed (pip install tensorrt-rtx-cu13)")


def build(trt: ModuleType, model: onnx.ModelProto, shape: tuple[int, ...]) -> list[str]:
    """Messages of parser and builder; empty where an engine was built. `shape` fills open sizes but the batch."""

    class Log(trt.ILogger):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.lines.append(message)

    log = Log()
    builder = trt.Builder(log)
    flags = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if flags is None else 1 << int(flags))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(model.SerializeToString()):
        return [parser.get_error(i).desc() for i in range(parser.num_errors)]
    profile, config = builder.create_optimization_profile(), builder.create_builder_config()
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        rest = [d if d >= 0 else shape[k + 1] for k, d in enumerate(tuple(tensor.shape)[1:])]
        profile.set_shape(tensor.name, *([batch, *rest] for batch in (1, 2, 4)))
    config.add_optimization_profile(profile)
    return [] if builder.build_serialized_network(network, config) is not None else log.lines or ["no engine"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["resnet3d_bn", "resnet3d_gn_silu", "unet3d_gn", "convnext2d"])
def test_graph_compiles(tensorrt: ModuleType, name: str, kind: str) -> None:
    if kind == "gradcam" and not export.zoo.ZOO[name].layer:
        pytest.skip("a segmenter has no activation to map")
    graph = KINDS[kind](export.exported(name))
    assert build(tensorrt, graph, export.zoo.ZOO[name].shape) == []
