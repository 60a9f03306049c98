"""Maps and the table of layers against Captum, which runs the torch module in float64.

Our side is what a run does: target head, compiled graph, ONNX Runtime in float32, `layer_reduce`. Captum's maps are
reduced by the slow float64 oracle, so nothing is shared between the two tables.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import layer_fast as lf
import oracle_layers as oracle
import tolerances
from graphs import zoo
from layer_fast import graphs
from layer_fast.engines import open_engine
from layer_fast.steps.maps import GradientGraph, integrated_gradients

torch = pytest.importorskip("torch", reason="Captum needs torch")
pytest.importorskip("onnxscript", reason="the networks are exported with torch.onnx, which needs onnxscript")
attr = pytest.importorskip("captum.attr", reason="Captum is not installed")
from graphs import export  # noqa: E402  (imports torch)

NETS = [
    "resnet3d_bn",
    "resnet3d_gn_silu",
    "resnet3d_in",
    "monai_resnet10",
    pytest.param("densenet121", marks=pytest.mark.zoo),
]
TARGET, LAYERS, STEPS = 1, 6, 8


@cache
def module(name: str) -> Any:
    """The bare network in float64, without hooks of its own."""
    net = copy.deepcopy(export.network(name)[0].net).double()
    for part in net.modules():
        part._forward_hooks.clear()
    return net


@cache
def engine(name: str, kind: str) -> Any:
    model = graphs.with_target(export.exported(name), kind="logit", positive=TARGET)
    graph = graphs.gradcam(model, "target") if kind == "gradcam" else graphs.gradient(model, "target")
    return open_engine("onnxruntime", graph.SerializeToString(), threads=1, label=name)


def image(name: str, attempt: int) -> np.ndarray:
    """(1, z, y, x) float32."""
    shape = zoo.ZOO[name].shape[1:]
    return np.random.default_rng(attempt).standard_normal(shape).astype(np.float32)


def baseline(x: np.ndarray) -> np.ndarray:
    return np.random.default_rng(99).normal(0.2, 0.1, x.shape).astype(np.float32)


def sheets(shape: tuple[int, ...]) -> np.ndarray:
    """Seven labels, 0 to 6, in wavy sheets along y."""
    z, y, x = np.indices(shape)
    return np.clip((y + np.sin(x) + np.cos(0.7 * z)) * (LAYERS + 1) / shape[1], 0, LAYERS).astype(np.uint8)


def gradient(name: str, x: np.ndarray) -> np.ndarray:
    return GradientGraph(engine(name, "gradient"), "image", 1)(x[None], 1)[0]


def path(name: str, x: np.ndarray) -> np.ndarray:
    return integrated_gradients(x, baseline(x), GradientGraph(engine(name, "gradient"), "image", 4), STEPS)


def cam(name: str, x: np.ndarray) -> np.ndarray:
    return engine(name, "gradcam").run({"image": x[None], "cotangent": np.ones((1, 1), np.float32)}, ("cam",))[0]


OURS: dict[str, Callable[[str, np.ndarray], np.ndarray]] = {
    "Saliency": gradient,
    "InputXGradient": lambda name, x: x * gradient(name, x),
    "IntegratedGradients": path,
    "LayerGradCam": cam,
}


def captum(name: str, method: str, x: np.ndarray) -> np.ndarray:
    net, batch = module(name), torch.from_numpy(x[None]).double().requires_grad_()
    if method == "LayerGradCam":
        layer = net.get_submodule(zoo.ZOO[name].layer)
        found = attr.LayerGradCam(net, layer).attribute(batch, target=TARGET, relu_attributions=False)
        return found.detach().numpy()[0]
    options: dict[str, Any] = {}
    if method == "Saliency":
        options = {"abs": False}
    if method == "IntegratedGradients":
        start = torch.from_numpy(baseline(x)[None]).double()
        options = {"baselines": start, "n_steps": STEPS, "method": "gausslegendre"}
    return getattr(attr, method)(net).attribute(batch, target=TARGET, **options).detach().numpy()[0]


def same_map(got: np.ndarray, expected: np.ndarray, bound: float) -> bool:
    assert got.shape == expected.shape
    across = float((got * expected).sum() / np.linalg.norm(got) / np.linalg.norm(expected))
    return np.linalg.norm(got - expected) < bound * np.linalg.norm(expected) and across > tolerances.NET_COSINE


def same_table(got: np.ndarray, expected: np.ndarray, bound: float) -> bool:
    """Mean, sum of the positive part and its share, layer by layer; a mean counts against the layer's mean square."""
    labels = sheets(tuple(max(n, 12) for n in got.shape))
    full = expected if labels.shape == expected.shape else oracle.interpolate(expected, labels.shape)
    found = lf.layer_reduce(got, labels, num_layers=LAYERS)
    rows = [oracle.layer_row(full, labels, layer) for layer in range(LAYERS + 1)]
    count, total, squares, positive = (np.array([r[k] for r in rows]) for k in ("count", "sum", "sum_sq", "sum_pos"))
    assert (count > 0).all() and np.array_equal(found.count[0], count)
    mean_error = np.abs(found.mean()[0] - total / count) / np.sqrt(squares / count)
    positive_error = np.abs(found.sum_pos[0] - positive) / np.where(positive > 0, positive, 1)
    whole, found_whole = positive.sum() or 1.0, found.sum_pos.sum() or 1.0  # a map without positive part has no shares
    share_error = np.abs(found.sum_pos[0] / found_whole - positive / whole)
    return max(mean_error.max(), positive_error.max(), share_error.max()) < bound


@pytest.mark.parametrize("method", OURS)
@pytest.mark.parametrize("name", NETS)
def test_map_and_table_of_layers(name: str, method: str) -> None:
    """A flipped gate spoils one input, an error all: the first of three inputs that agrees counts."""
    bound = tolerances.NET_SMOOTH if zoo.ZOO[name].smooth else tolerances.NET_KINKED
    for attempt in range(3):
        x = image(name, attempt)
        got, expected = OURS[method](name, x)[0], captum(name, method, x)[0]
        if same_map(got, expected, bound) and same_table(got, expected, tolerances.LAYER_PARITY):
            return
    pytest.fail(f"{method} of {name} differs from Captum on three inputs")


@pytest.mark.parametrize("name", ["resnet2d_bn", "convnext2d"])
def test_maps_in_2d(name: str) -> None:
    x = image(name, 0)
    bound = tolerances.NET_SMOOTH if zoo.ZOO[name].smooth else tolerances.NET_KINKED
    for method in ("Saliency", "LayerGradCam"):
        assert same_map(OURS[method](name, x), captum(name, method, x), bound)
