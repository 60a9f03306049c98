"""The same graphs in OpenVINO: every kind of difficult backward, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import tolerances
from layer_fast import graphs

openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
pytest.importorskip("torch", reason="the networks are exported from torch")
pytest.importorskip("onnxscript", reason="the networks are exported with torch.onnx, which needs onnxscript")
from graphs import export  # noqa: E402  (imports torch)


def run_openvino(model: onnx.ModelProto, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", options)
    results = compiled(inputs)
    return {o.get_any_name(): results[o] for o in compiled.outputs}


@pytest.mark.parametrize("name", ["resnet3d_bn", "resnet2d_bn", "unet3d_in", "convnext2d"])
def test_gradient(name: str) -> None:
    model = export.exported(name)
    _, x = export.network(name)
    shape = export.run(model, image=x.numpy())["logits"].shape
    cotangent = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    graph = graphs.gradient(model)
    expected, got = (f(graph, image=x.numpy(), cotangent=cotangent)["grad_image"] for f in (export.run, run_openvino))
    assert np.linalg.norm(got - expected) < tolerances.NET_KINKED * np.linalg.norm(expected)


@pytest.mark.parametrize("name", ["resnet3d_gn_silu", "monai_resnet10"])
@pytest.mark.parametrize("make", [graphs.gradcam, graphs.hirescam])
def test_maps(name: str, make: object) -> None:
    model = export.exported(name)
    _, x = export.network(name)
    graph = make(model)  # type: ignore[operator]
    cotangent = np.eye(2, dtype=np.float32)[[0] * x.shape[0]]
    expected, got = (f(graph, image=x.numpy(), cotangent=cotangent)["cam"] for f in (export.run, run_openvino))
    assert np.linalg.norm(got - expected) < tolerances.NET_KINKED * np.linalg.norm(expected)
