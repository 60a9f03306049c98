"""The same graphs in OpenVINO: every kind of difficult backward, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

import tolerances
from layer_fast import graphs

pytest.importorskip("openvino", reason="OpenVINO is not installed")
pytest.importorskip("torch", reason="the networks are exported from torch")
pytest.importorskip("onnxscript", reason="the networks are exported with torch.onnx, which needs onnxscript")
from graphs import export, single

RUNS = export.run, single.run_openvino


@pytest.mark.parametrize("op", ["Conv", "ConvTranspose", "Gemm"])
def test_square_weights_are_not_read_in_two_layouts(op: str) -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3, 8) if op == "Gemm" else (3, 8, 9, 9)).astype(np.float32)
    weight = rng.standard_normal((8, 8) if op == "Gemm" else (8, 8, 3, 3)).astype(np.float32)
    attributes = {"transB": 1} if op == "Gemm" else {"strides": [2, 2], "pads": [1] * 4}
    graph = graphs.gradient(single.model(op, x, [weight], attributes=attributes, opset=18), "y", ("x",))
    made = {"Conv": (3, 8, 5, 5), "ConvTranspose": (3, 8, 17, 17), "Gemm": (3, 8)}[op]
    cotangent = rng.standard_normal(made).astype(np.float32)
    expected, got = (f(graph, x=x, cotangent=cotangent)["grad_x"] for f in RUNS)
    assert np.linalg.norm(got - expected) < tolerances.NET_FORWARD * np.linalg.norm(expected)


@pytest.mark.parametrize("name", ["resnet3d_bn", "resnet2d_bn", "unet3d_in", "convnext2d"])
def test_gradient(name: str) -> None:
    model = export.exported(name)
    _, x = export.network(name)
    shape = export.run(model, image=x.numpy())["logits"].shape
    cotangent = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    graph = graphs.gradient(model)
    expected, got = (f(graph, image=x.numpy(), cotangent=cotangent)["grad_image"] for f in RUNS)
    assert np.linalg.norm(got - expected) < tolerances.NET_KINKED * np.linalg.norm(expected)


@pytest.mark.parametrize("name", ["resnet3d_gn_silu", "monai_resnet10"])
@pytest.mark.parametrize("make", [graphs.gradcam, graphs.hirescam])
def test_maps(name: str, make: object) -> None:
    model = export.exported(name)
    _, x = export.network(name)
    graph = make(model)  # type: ignore[operator]
    cotangent = np.eye(2, dtype=np.float32)[[0] * x.shape[0]]
    expected, got = (f(graph, image=x.numpy(), cotangent=cotangent)["cam"] for f in RUNS)
    assert np.linalg.norm(got - expected) < tolerances.NET_KINKED * np.linalg.norm(expected)
