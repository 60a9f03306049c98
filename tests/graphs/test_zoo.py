"""Whole networks: gradient and Grad-CAM graphs in ONNX Runtime against torch autograd in float64."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import tolerances
from graphs import zoo
from layer_fast import graphs

torch = pytest.importorskip("torch", reason="the zoo needs torch")
pytest.importorskip("onnxscript", reason="the zoo is exported with torch.onnx, which needs onnxscript")
from graphs import export  # noqa: E402  (imports torch)

NAMES = [n if e.quick else pytest.param(n, marks=pytest.mark.zoo) for n, e in zoo.ZOO.items()]


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


def autograd(tap: Any, x: Any, seed: int) -> dict[str, np.ndarray]:
    """Logits, cotangent, input gradient and, where there is an activation, both maps, in float64."""
    net, image = copy.deepcopy(tap).double(), x.double().requires_grad_()
    out = net(image)
    logits, features = out if isinstance(out, tuple) else (out, None)
    cotangent = torch.randn(logits.shape, generator=torch.Generator().manual_seed(seed))
    if features is not None:
        features.retain_grad()
    (logits * cotangent.double()).sum().backward()
    result = {"logits": logits, "cotangent": cotangent, "grad_image": image.grad}
    if features is not None and features.dim() > 3:
        axes = tuple(range(2, features.dim()))
        result["cam"] = (features.grad.mean(axes, keepdim=True) * features).sum(1)
        result["hires"] = (features.grad * features).sum(1)
    return {k: v.detach().numpy() for k, v in result.items()}


def good_gradient(name: str, gradient: Any, attempts: int) -> bool:
    """A flipped gate spoils the gradient of one input, a wrong rule that of all: the best of a few inputs counts."""
    tap, x = export.network(name)
    for attempt in range(attempts):
        x = x if attempt == 0 else torch.randn(x.shape, generator=torch.Generator().manual_seed(attempt))
        expected = autograd(tap, x, seed=3 + attempt)
        got = export.run(gradient, image=x.numpy(), cotangent=expected["cotangent"])
        assert relative(got["logits"], expected["logits"]) < tolerances.NET_FORWARD
        error = relative(got["grad_image"], expected["grad_image"])
        if zoo.ZOO[name].smooth:
            return error < tolerances.NET_SMOOTH
        close = cosine(got["grad_image"], expected["grad_image"]) > tolerances.NET_COSINE
        if error < tolerances.NET_KINKED and close:
            return True
    return False


@pytest.mark.parametrize("name", NAMES)
def test_gradient_equals_autograd(name: str) -> None:
    pytest.importorskip(zoo.ZOO[name].needs)
    assert good_gradient(name, graphs.gradient(export.exported(name)), attempts=4)


@pytest.mark.parametrize("name", ["transformer2d", "mobilenet2d", "unet3d_bn", "resnet3d_in"])
def test_older_exporter(name: str) -> None:
    """Shapes computed at run time, attention written out, no opset above 17."""
    assert good_gradient(name, graphs.gradient(export.exported_by_tracing(name)), attempts=4)


@pytest.mark.parametrize("name", [n for n, e in zip(NAMES, zoo.ZOO.values(), strict=True) if e.layer])
def test_gradcam_equals_autograd(name: str) -> None:
    pytest.importorskip(zoo.ZOO[name].needs)
    tap, x = export.network(name)
    expected = autograd(tap, x, seed=3)
    model = export.exported(name)
    bound = tolerances.NET_SMOOTH if zoo.ZOO[name].smooth else tolerances.NET_KINKED
    for kind, graph in (("cam", graphs.gradcam(model)), ("hires", graphs.hirescam(model))):
        got = export.run(graph, image=x.numpy(), cotangent=expected["cotangent"])
        assert got["cam"].shape == expected[kind].shape
        assert relative(got["cam"], expected[kind]) < bound


@pytest.mark.parametrize("name", ["resnet2d_bn", pytest.param("unet3d_in", marks=pytest.mark.zoo)])
def test_dynamic_graph_takes_another_size(name: str) -> None:
    tap, x = export.network(name)
    wide = torch.randn((3, x.shape[1], *(s + 8 for s in x.shape[2:])), generator=torch.Generator().manual_seed(1))
    expected = autograd(tap, wide, seed=2)
    got = export.run(graphs.gradient(export.exported(name)), image=wide.numpy(), cotangent=expected["cotangent"])
    assert relative(got["grad_image"], expected["grad_image"]) < tolerances.NET_KINKED


@pytest.mark.parametrize("name", ["resnet3d_bn", "monai_resnet10"])
def test_gradcam_goes_no_further_than_the_activation(name: str) -> None:
    """Classifier with linear head: a mean, two products, no convolution, whatever its depth."""
    model = export.exported(name)
    graph = graphs.gradcam(model)
    kinds = [n.op_type for n in graph.graph.node]
    assert kinds.count("Conv") == [n.op_type for n in model.graph.node].count("Conv")
    assert "ConvTranspose" not in kinds and len(kinds) - len(model.graph.node) < 16
    assert [i.name for i in graph.graph.input] == ["image", "cotangent"]
    assert [o.name for o in graph.graph.output] == ["logits", "features", "cam"]


@pytest.mark.parametrize("name", ["resnet3d_gn_silu", "convnext2d", "unet3d_in"])
def test_half_precision_forward(name: str) -> None:
    model = export.exported(name)
    _, x = export.network(name)
    expected, got = (export.run(m, image=x.numpy())["logits"] for m in (model, graphs.to_half(model)))
    assert got.dtype == np.float32
    assert relative(got, expected) < tolerances.HALF_FORWARD


def test_activations_are_found() -> None:
    assert graphs.find_activations(export.exported("resnet3d_bn"))[0] == "features"
    assert graphs.find_activations(export.exported("monai_resnet10"))[0] == "features"
