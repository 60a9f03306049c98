"""How far the graphs are from the network they were made from: torch autograd in float64, and Captum."""

from __future__ import annotations

import copy
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ..errors import ModelError
from ..models.manifest import Parity
from .batch import TINY, Array, draw, opened
from .derived import make_graph
from .matching import find_module

if TYPE_CHECKING:
    from .build import Draft, Say

LOGITS = 1e-4  # largest difference to torch in float64, relative to the largest logit; more is refused
INPUTS = 4


def torch_parity(made: Draft, network: nn.Module, say: Say, inputs: int = INPUTS) -> dict[str, Parity]:
    """Figures on drawn inputs. Raises ModelError where logits differ by more than LOGITS of the largest."""
    double = copy.deepcopy(network).double()
    images = [draw((1, made.facts.channels, *made.geometry.sizes), seed=10 + i) for i in range(inputs)]
    figures = _logits(made, double, images)
    say(f"logits against torch: within {figures['logits_vs_torch_relative'].value:.1e} of the largest")
    if made.fields.role == "classifier" or "gradient" in made.graphs:
        figures |= _gradient(made, double, images, say)
    if "gradcam" in made.graphs:
        figures |= _gradcam(made, network, double, images, say)
    return figures


def _logits(made: Draft, double: nn.Module, images: list[Array]) -> dict[str, Parity]:
    call = opened(made.model, "model.onnx")
    found = [call({made.facts.input: image}, (made.facts.output,))[0] for image in images]
    with torch.no_grad():
        expected = [double(torch.from_numpy(image).double()).numpy() for image in images]
    largest = max(float(np.abs(e).max()) for e in expected)
    worst = max(float(np.abs(f - e).max()) for f, e in zip(found, expected, strict=True))
    relative = worst / max(largest, TINY)
    if not relative <= LOGITS:
        raise ModelError(f"logits: expected the graph within {LOGITS:g} of torch, relative to the largest logit, found "
                         f"{relative:.2g}; the export changed the network, nothing was written")  # fmt: skip
    note = f"refused above {LOGITS:g}"
    return {
        "logits_vs_torch_max_abs": _figure(worst, len(images), "largest difference of a logit"),
        "logits_vs_torch_relative": _figure(relative, len(images), f"relative to the largest logit; {note}"),
    }


def _gradient(made: Draft, double: nn.Module, images: list[Array], say: Say) -> dict[str, Parity]:
    """The gradient graph against autograd, for a drawn cotangent. Without a gradient graph there is nothing."""
    try:
        graph = made.graphs.get("gradient") or make_graph(made.model, made.facts, made.cam, "gradient")
    except ModelError:
        return {}
    call, rng = opened(graph, "graph gradient"), np.random.default_rng(20)
    found, expected = [], []
    for image in images:
        leaf = torch.from_numpy(image).double().requires_grad_()
        result = double(leaf)
        cotangent = rng.standard_normal(result.shape).astype(np.float32)
        result.backward(torch.from_numpy(cotangent).double())
        expected.append(_gradient_of(leaf).ravel())
        feeds = {made.facts.input: image, "cotangent": cotangent}
        found.append(call(feeds, (f"grad_{made.facts.input}",))[0].astype(np.float64).ravel())
    difference, cosine = compare(np.concatenate(found), np.concatenate(expected))
    say(f"gradient against torch: L2 {difference:.1e} relative, cosine {cosine:.6f}")
    return {
        "gradient_vs_torch_l2": _figure(difference, len(images), "L2 of the difference relative to the L2 of torch's"),
        "gradient_vs_torch_cosine": _figure(cosine, len(images), "cosine"),
    }


def _gradcam(
    made: Draft, network: nn.Module, double: nn.Module, images: list[Array], say: Say
) -> dict[str, Parity]:
    try:
        from captum import __version__ as captum_version
        from captum.attr import LayerGradCam
    except ImportError:
        say("Grad-CAM is not compared: Captum is missing; pip install 'layer_fast[torch]'")
        return {}
    name = find_module(made, network, images[0])
    if name is None:
        say(f"Grad-CAM is not compared with Captum: no module of the network gives the activation {made.cam.tensor!r}")
        return {}
    cams, call = LayerGradCam(double, double.get_submodule(name)), opened(made.graphs["gradcam"], "graph gradcam")
    classes = len(made.fields.classes or ())
    found, expected = [], []
    for i, image in enumerate(images):
        cotangent = np.zeros((1, classes), np.float32)
        cotangent[0, i % classes] = 1
        leaf = torch.from_numpy(image).double().requires_grad_()
        map_ = cams.attribute(leaf, target=i % classes, relu_attributions=False)
        expected.append(map_.detach().numpy().ravel())
        found.append(call({made.facts.input: image, "cotangent": cotangent}, ("cam",))[0].astype(np.float64).ravel())
    difference, cosine = compare(np.concatenate(found), np.concatenate(expected))
    name = name.removeprefix("network.")  # the wrapper's own name for the network
    say(f"Grad-CAM against Captum at {name!r}: L2 {difference:.1e} relative, cosine {cosine:.6f}")
    against = f"captum {captum_version} LayerGradCam in float64, torch {torch.__version__}"
    note = f"module {name}, tensor {made.cam.tensor}"
    return {
        "gradcam_vs_captum_l2": _figure(difference, len(images), f"L2, relative; {note}", against),
        "gradcam_vs_captum_cosine": _figure(cosine, len(images), f"cosine; {note}", against),
    }


def compare(found: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """L2 of the difference relative to the L2 of `expected`, and the cosine; 0 and 1 where both are zero."""
    size, own = float(np.linalg.norm(expected)), float(np.linalg.norm(found))
    if size == 0.0 or own == 0.0:
        same = size == own
        return (0.0, 1.0) if same else (1.0, 0.0)
    return float(np.linalg.norm(found - expected)) / size, float(np.vdot(found, expected)) / (size * own)


def _gradient_of(leaf: Any) -> np.ndarray:
    if leaf.grad is None:
        raise ModelError("network: expected a result that depends on the image, found no gradient in torch")
    return np.asarray(leaf.grad.numpy())


def _figure(value: float, inputs: int, note: str, against: str = "") -> Parity:
    against = against or f"torch {torch.__version__} in float64"
    return Parity(value=float(f"{value:.9g}"), against=against, inputs=inputs,
                  note=f"{note}; graph in onnxruntime {version('onnxruntime')}, float32")  # fmt: skip
