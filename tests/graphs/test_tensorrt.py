"""TensorRT-RTX compiles every kind of graph ahead of time, which needs no GPU: what it refuses is found anywhere.

`make test` installs it unless LAYER_FAST_TENSORRT=0; by hand: pip install tensorrt-rtx-cu13.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import layer_fast as lf
from graphs import single, trt, zoo
from layer_fast import graphs
from layer_fast.graphs import target

Graph = Callable[..., onnx.ModelProto]

ANY: dict[str, Graph] = {"forward": lambda model: model, "gradient": graphs.gradient}
MAPS: dict[str, Graph] = {"gradcam": graphs.gradcam, "hirescam": graphs.hirescam}
LINEAR_HEAD: dict[str, Graph] = {"class_maps": graphs.class_maps}
KINDS = ANY | MAPS | LINEAR_HEAD
PACKAGES = {
    "segmenter": ANY,
    "classifier_bmode": KINDS,
    "classifier_both": KINDS,
    "classifier_swe": KINDS,
    "2d/segmenter": ANY,
    "2d/classifier_bmode": ANY | MAPS,
}
SLICES = 12
"""Of a 2D package, which takes any number."""
QUICK = ("resnet3d_bn", "resnet3d_gn_silu", "resnet2d_bn", "unet3d_in", "convnext2d")
WITHOUT_CLASS_MAPS = ("convnext2d", "convnext3d", "vgg2d", "densenet121")
"""Classifiers with more than a mean and one linear layer behind the activation."""


@pytest.fixture(scope="module")
def compiler() -> Iterator[trt.Compiler]:
    yield from trt.offered()


def precision(model: onnx.ModelProto, half: bool) -> onnx.ModelProto:
    return graphs.to_half(model) if half else model


@cache
def packages() -> dict[str, Any]:
    found = {package.path.name: package for package in lf.load_models("reference").packages}
    return found | {f"2d/{package.path.name}": package for package in lf.load_models("reference_2d").packages}


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "half"])
@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kinds in PACKAGES.items() for kind in kinds])
def test_reference_package_compiles(compiler: trt.Compiler, name: str, kind: str, half: bool) -> None:
    """Of a 2D package the graph that a run uses: the slice model over the slices of a volume."""
    package = packages()[name]
    options = {"activation": package.manifest.cam_tensor} if kind in MAPS else {}
    graph = precision(KINDS[kind](package.volume_model, **options), half)
    shape = graph.graph.input[0].type.tensor_type.shape.dim
    assert compiler.complaints(graph, [d.dim_value or SLICES for d in shape]) == []


def test_no_reference_package_is_left_out() -> None:
    assert set(packages()) == set(PACKAGES)


def network_cases() -> list[Any]:
    cases = []
    for name, entry in zoo.ZOO.items():
        kinds = [*ANY, *(MAPS if entry.layer else ())]
        kinds += LINEAR_HEAD if entry.layer and name not in WITHOUT_CLASS_MAPS else ()
        marks = [] if name in QUICK else [pytest.mark.zoo]
        cases += [pytest.param(name, kind, marks=marks) for kind in kinds]
    return cases


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "half"])
@pytest.mark.parametrize(("name", "kind"), network_cases())
def test_network_compiles(compiler: trt.Compiler, name: str, kind: str, half: bool) -> None:
    pytest.importorskip("torch", reason="the networks are exported from torch")
    pytest.importorskip("onnxscript", reason="the networks are exported with torch.onnx, which needs onnxscript")
    pytest.importorskip(zoo.ZOO[name].needs)
    from graphs import export

    graph = precision(KINDS[kind](export.exported(name)), half)
    assert compiler.complaints(graph, zoo.ZOO[name].shape) == []


PICKING = {
    "GatherND": [np.array([[[1, 0]], [[0, 3]]])],
    "ScatterND": [np.array([[0, 1], [1, 3]]), np.ones((2, 2, 3), np.float32)],
    "GatherElements": [np.zeros((2, 4, 2, 3), np.int64)],
}


@pytest.mark.parametrize("op", PICKING)
def test_gradient_of_an_operator_with_indices_compiles(compiler: trt.Compiler, op: str) -> None:
    """The rules that are nearest to what engines refuse."""
    graph = single.model(op, np.zeros((2, 4, 2, 3), np.float32), PICKING[op])
    assert compiler.complaints(graphs.gradient(graph, "y", ["x"])) == []


@pytest.mark.parametrize("negative", [0, None], ids=["other", "rest"])
@pytest.mark.parametrize("kind", ["margin", "logit", "probability"])
def test_gradient_of_a_target_head_compiles(compiler: trt.Compiler, kind: str, negative: int | None) -> None:
    """What a run explains: one number per scan behind the logits."""
    model = packages()["classifier_bmode"].model
    head = target.with_target(model, positive=1, negative=negative, kind=kind)
    assert compiler.complaints(graphs.gradient(head, "target")) == []


def one_node(op: str, outputs: int = 1, constants: dict[str, np.ndarray] | None = None, **more: Any) -> onnx.ModelProto:
    names = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, ["x", *(constants or {})], names, name="the_planted_one", **more)
    info = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 2, 4, 4])
    out = [helper.make_tensor_value_info(y, kind, None) for y, kind in zip(names, (1, 7), strict=False)]
    tensors = [numpy_helper.from_array(value, key) for key, value in (constants or {}).items()]
    graph = helper.make_graph([node], "planted", [info], out, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


PLANTED = {
    "MaxPool": one_node("MaxPool", 2, kernel_shape=[2, 2], strides=[2, 2]),
    "ScatterElements": one_node(
        "ScatterElements",
        constants={"i": np.zeros((1, 2, 4, 4), np.int64), "u": np.ones((1, 2, 4, 4), np.float32)},
        reduction="add",
    ),
}


@pytest.mark.parametrize(("op", "words"), [("MaxPool", "outputs for MaxPool"), ("ScatterElements", "reduction type")])
def test_planted_refusal_is_found(compiler: trt.Compiler, op: str, words: str) -> None:
    """What a textbook backward pass would hold: pooling indices, a scatter that adds. The parser's words are shown."""
    with pytest.raises(AssertionError, match=words):
        assert compiler.complaints(PLANTED[op]) == []


def test_a_crash_fails_one_graph_and_not_the_run(compiler: trt.Compiler) -> None:
    assert compiler.run(os.abort) == [trt.CRASHED]
    assert compiler.complaints(one_node("Relu")) == []
