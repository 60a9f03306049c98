"""Maps of a package's classifier for given inputs, as a function of its graph: what `randomisation` shuffles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
import onnx
from numpy.typing import NDArray

from ..config import RunConfig
from ..errors import ConfigError
from ..models import ModelPackage
from ..steps.compiled import Graphs
from ..steps.lane import Lane
from ..steps.maps import GradientGraph, class_activation_maps
from .randomisation import Map, MapOf

METHODS = ("gradcam", "hirescam", "gradient", "input_x_gradient")


def map_function(
    package: ModelPackage,
    images: Sequence[NDArray[np.float32]],
    *,
    method: str = "gradcam",
    engine: str = "onnxruntime",
) -> MapOf:
    """model -> maps (z, y, x) of the images (C, z, y, x), in model-input units; gradients are summed over channels.

    model: the package's own graph with other weights. Raises ConfigError for a method without a single-call map.
    """
    if method not in METHODS:
        raise ConfigError(f"[randomisation] expected one of {', '.join(METHODS)}, got {method!r}")
    config = RunConfig(methods=(method,))

    def map_of(model: onnx.ModelProto) -> list[Map]:
        raw = model.SerializeToString()
        changed = replace(package, model_bytes=raw, sha256=sha256(raw).hexdigest())
        lane = Lane(engine, config, 1, Graphs(config.target))
        return [_one(image, changed, method, lane) for image in images]

    return map_of


def _one(image: NDArray[np.float32], package: ModelPackage, method: str, lane: Lane) -> Map:
    if method in ("gradcam", "hirescam"):
        return class_activation_maps(image[None], lane, package, method, 1)[1][0].values
    graph = GradientGraph(lane.explaining(package, "gradient"), package.manifest.input, 1)
    gradient = graph(image[None], 1)[0]
    values = gradient if method == "gradient" else image * gradient
    return np.asarray(values.sum(axis=0, dtype=np.float64), np.float32)
