"""Graphs written with onnx alone, 2D and 3D, and the fields that go with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

GRID = (4, 28, 8)  # of tests/tiny.py, so that its cohorts fit


def fields(**changes: Any) -> dict[str, Any]:
    """Stated facts of `classifier()`; a change to None leaves a key out."""
    stated: dict[str, Any] = {
        "name": "small", "role": "classifier", "setup": "bmode",
        "channels": [{"modality": "bmode", "window": [0, 255]}],
        "spacing_mm": [1.5, 0.5, 0.6], "antialias": True, "depth_axis": "y",
        "classes": ["control", "case"], "target": {"positive": "case", "negative": "control"},
        "training_data": "none", "licence": "MIT", "intended_use": "tests",
    }  # fmt: skip
    return {key: value for key, value in {**stated, **changes}.items() if value is not None}


def fields_2d(**changes: Any) -> dict[str, Any]:
    changes = {"slice_axis": "z", "slice_pooling": "mean_logit", "spacing_mm": [None, 0.5, 0.6], **changes}
    return fields(**changes)


def classifier(
    batch: Any = "batch", channels: int = 1, classes: int = 2, sizes: tuple[Any, ...] = GRID, extra: str = ""
) -> onnx.ModelProto:
    """Conv, Relu (features), global mean, Reshape to (batch, features) or Flatten for an open batch, Gemm (logits).

    extra: an operator of one input put behind the Relu.
    """
    rng = np.random.default_rng(channels)
    dims = len(sizes)
    weights = {
        "w": rng.normal(0, 0.5, (4, channels, *[3] * dims)), "b": rng.normal(0, 0.1, 4),
        "fc": rng.normal(0, 1, (classes, 4)), "fb": rng.normal(0, 1, classes),
    }  # fmt: skip
    tensors = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["conv"], pads=[1] * 2 * dims, name="conv"),
        helper.make_node("Relu", ["conv"], ["features"], name="relu"),
        *([helper.make_node(extra, ["features"], ["more"], name="extra")] if extra else []),
        helper.make_node("GlobalAveragePool", ["more" if extra else "features"], ["pooled"], name="pool"),
    ]
    if isinstance(batch, int):
        tensors.append(numpy_helper.from_array(np.array([batch, 4]), "shape"))
        nodes.append(helper.make_node("Reshape", ["pooled", "shape"], ["flat"], name="reshape"))
    else:
        nodes.append(helper.make_node("Flatten", ["pooled"], ["flat"], name="flat"))
    nodes.append(helper.make_node("Gemm", ["flat", "fc", "fb"], ["logits"], name="gemm", transB=1))
    return model(nodes, tensors, [batch, channels, *sizes], [batch, classes])


def segmenter() -> onnx.ModelProto:
    centre = np.arange(7) * 40 / 255
    weights = {"w": (2 * centre).reshape(7, 1, 1, 1, 1), "b": -(centre**2)}
    tensors = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()]
    nodes = [helper.make_node("Conv", ["image", "w", "b"], ["logits"])]
    return model(nodes, tensors, ["n", 1, *GRID], ["n", 7, *GRID])


def model(nodes: list[Any], tensors: list[Any], shape: list[Any], output: list[Any]) -> onnx.ModelProto:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, output)
    graph = helper.make_graph(nodes, "small", [image], [logits], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def with_external_data(path: Path, location: str, **entries: str) -> Path:
    """`classifier()` saved with the weight `w` outside, said to lie at `location`."""
    graph = classifier()
    tensor = next(t for t in graph.graph.initializer if t.name == "w")
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(graph.SerializeToString())
    (path.parent / "w.bin").write_bytes(data)
    return path
