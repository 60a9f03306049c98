"""Maps against Captum, which runs the torch module in float64."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import tolerances
from graphs import zoo
from layer_fast import graphs

torch = pytest.importorskip("torch", reason="Captum needs torch")
pytest.importorskip("onnxscript", reason="the networks are exported with torch.onnx, which needs onnxscript")
attr = pytest.importorskip("captum.attr", reason="Captum is not installed")
from graphs import export  # noqa: E402  (imports torch)

NETS = ["resnet3d_bn", "resnet3d_gn_silu", "resnet2d_bn", "convnext2d", "monai_resnet10"]


def modules(name: str) -> tuple[Any, Any]:
    """The bare network in float64 without hooks of its own, and an input."""
    tap, x = export.network(name)
    net = copy.deepcopy(tap.net).double()
    for module in net.modules():
        module._forward_hooks.clear()
    return net, x


def one_class(shape: tuple[int, ...], target: int) -> np.ndarray:
    cotangent = np.zeros(shape, np.float32)
    cotangent[:, target] = 1
    return cotangent


def close(a: np.ndarray, b: np.ndarray, name: str) -> bool:
    error = float(np.linalg.norm(a - b) / np.linalg.norm(b))
    return error < (tolerances.NET_SMOOTH if zoo.ZOO[name].smooth else tolerances.NET_KINKED)


@pytest.mark.parametrize("name", NETS)
def test_gradcam(name: str) -> None:
    """Captum takes no ReLU unless asked; its channel axis stays as 1."""
    net, x = modules(name)
    layer = net.get_submodule(zoo.ZOO[name].layer)
    expected = attr.LayerGradCam(net, layer).attribute(x.double(), target=1, relu_attributions=False)
    graph = graphs.gradcam(export.exported(name))
    got = export.run(graph, image=x.numpy(), cotangent=one_class((x.shape[0], 2), 1))["cam"]
    assert close(got, expected.detach().numpy()[:, 0], name)


@pytest.mark.parametrize("name", NETS)
def test_saliency_and_input_x_gradient(name: str) -> None:
    net, x = modules(name)
    image = x.double().requires_grad_()
    graph = graphs.gradient(export.exported(name))
    gradient = export.run(graph, image=x.numpy(), cotangent=one_class((x.shape[0], 2), 0))["grad_image"]
    saliency = attr.Saliency(net).attribute(image, target=0).detach().numpy()
    product = attr.InputXGradient(net).attribute(image, target=0).detach().numpy()
    assert close(np.abs(gradient), saliency, name)
    assert close(gradient * x.numpy(), product, name)


@pytest.mark.parametrize("name", ["resnet3d_gn_silu", "convnext2d"])
def test_integrated_gradients(name: str) -> None:
    """The same gradient graph over a path: Gauss-Legendre nodes on (0, 1) as Captum has them, baseline 0."""
    net, x = modules(name)
    expected = attr.IntegratedGradients(net).attribute(x.double(), target=0, n_steps=8, method="gausslegendre")
    nodes, weights = np.polynomial.legendre.leggauss(8)
    graph = graphs.gradient(export.exported(name))
    total = np.zeros(x.shape)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        point = (x.numpy() * node).astype(np.float32)
        gradient = export.run(graph, image=point, cotangent=one_class((x.shape[0], 2), 0))["grad_image"]
        total += weight * gradient
    assert close(total * x.numpy(), expected.detach().numpy(), name)
