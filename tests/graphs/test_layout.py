"""Channels-last tensors: no map is taken from them, and what stood in front of their Transpose is offered instead."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tolerances
from graphs.single import relative, run
from layer_fast import graphs
from layer_fast.errors import ModelError

R = np.random.default_rng(6)
n = helper.make_node
WEIGHTS = {
    "w": R.standard_normal((5, 1, 3, 3)), "scale": R.uniform(0.5, 2, 5), "shift": R.standard_normal(5),
    "mix": R.standard_normal((5, 5)), "fc": R.standard_normal((5, 2)),
}  # fmt: skip


def network(nodes: list[Any], **ints: list[int]) -> onnx.ModelProto:
    """image (B, 1, 6, 7) -> conv (B, 5, 6, 7) -> the nodes -> pooled (B, 5) -> logits."""
    tensors = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in WEIGHTS.items()]
    tensors += [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in ints.items()]
    nodes = [n("Conv", ["image", "w"], ["conv"], pads=[1] * 4), *nodes, n("MatMul", ["pooled", "fc"], ["logits"])]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["B", 1, 6, 7])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 2])
    graph = helper.make_graph(nodes, "g", [image], [logits], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def mean(x: str, *axes: int, **attributes: Any) -> onnx.NodeProto:
    return n("ReduceMean", [x], ["pooled"], axes=list(axes), keepdims=0, **attributes)


def last(x: str = "conv", y: str = "last") -> onnx.NodeProto:
    return n("Transpose", [x], [y], perm=[0, 2, 3, 1])


NORM = n("LayerNormalization", ["last", "scale", "shift"], ["normed"], axis=-1)


@pytest.mark.parametrize("axes", [(1, 2), (-2, -3)])
def test_the_tensor_in_front_of_the_transpose_is_offered(axes: tuple[int, int]) -> None:
    assert graphs.find_activations(network([last(), NORM, mean("normed", *axes)])) == ["conv"]


def test_a_tensor_of_unknown_rank_is_passed_over() -> None:
    """Squeeze without axes leaves the rank open where the batch is."""
    nodes = [n("Squeeze", ["conv"], ["any"]), n("Relu", ["any"], ["bent"]), n("Reshape", ["bent", "back"], ["four"])]
    assert graphs.find_activations(network([*nodes, mean("four", 2, 3)], back=[-1, 5, 6, 7])) == ["four", "conv"]


def test_the_map_of_that_tensor_is_right() -> None:
    """Against Grad-CAM written out, with the gradient of the pooled features from the gradient graph."""
    model = network([last(), NORM, mean("normed", 1, 2)])
    x, cot = R.random((2, 1, 6, 7)).astype(np.float32), np.eye(2, dtype=np.float32)
    plain = graphs.gradient(model, wrt=["conv"])
    plain.graph.output.append(helper.make_tensor_value_info("conv", TensorProto.FLOAT, ["B", 5, 6, 7]))
    found = run(plain, image=x, cotangent=cot)
    expected = (found["grad_conv"].mean((2, 3), keepdims=True) * found["conv"]).sum(1)
    (name,) = graphs.find_activations(model)
    assert relative(run(graphs.gradcam(model, activation=name), image=x, cotangent=cot)["cam"], expected) \
        < tolerances.NET_FORWARD  # fmt: skip


@pytest.mark.parametrize("make", [graphs.gradcam, graphs.hirescam])
@pytest.mark.parametrize("name", ["last", "normed"])
def test_a_channels_last_tensor_is_refused(make: Any, name: str) -> None:
    model = network([last(), NORM, mean("normed", 1, 2)])
    with pytest.raises(ModelError, match=f"'{name}'.*channels last.*take 'conv'"):
        make(model, activation=name)
    with pytest.raises(ModelError, match=f"'{name}'.*channels last"):
        graphs.check_activation(model, name)
    graphs.check_activation(model, "conv")


def test_a_block_inside_is_channels_last_too() -> None:
    """Mul and Add of a block between two Transposes are not offered; its result is."""
    block = [
        last(), n("MatMul", ["last", "mix"], ["mixed"]), n("Add", ["mixed", "shift"], ["biased"]),
        n("Mul", ["biased", "scale"], ["scaled"]), n("Transpose", ["scaled"], ["first"], perm=[0, 3, 1, 2]),
        n("Add", ["conv", "first"], ["sum"]), mean("sum", 2, 3),
    ]  # fmt: skip
    model = network(block)
    assert graphs.find_activations(model) == ["sum", "conv"]
    with pytest.raises(ModelError, match=r"'scaled'.*channels last"):
        graphs.gradcam(model, activation="scaled")


def test_a_mean_over_the_middle_axes_says_channels_last() -> None:
    """No Transpose: a Reshape of tokens. Nothing is known but by the mean."""
    flat = [n("Reshape", ["conv", "tokens"], ["grid"]), n("Relu", ["grid"], ["kept"]), mean("kept", 1, 2)]
    model = network(flat, tokens=[0, 6, 7, 5])
    assert graphs.find_activations(model) == ["conv"]
    for name in ("kept", "grid"):
        with pytest.raises(ModelError, match=f"'{name}'.*channels last"):
            graphs.gradcam(model, activation=name)


def test_two_origins_are_none() -> None:
    """A sum of two transposed tensors is the Transpose of neither."""
    both = [n("Relu", ["conv"], ["more"]), last(), last("more", "other"), n("Add", ["last", "other"], ["sum"])]
    assert graphs.find_activations(network([*both, mean("sum", 1, 2)])) == ["more", "conv"]
    origins = network([*both, mean("sum", 1, 2)])
    with pytest.raises(ModelError, match=r"'sum'.*channels last, \('B', 6, 7, 5\)$"):
        graphs.gradcam(origins, activation="sum")


def test_a_mean_over_features_is_no_pool() -> None:
    """What a norm over the channels takes the mean of is not in front of a pool."""
    norm = [
        n("Tanh", ["conv"], ["bent"]), n("ReduceMean", ["bent"], ["centre"], axes=[1], keepdims=1),
        n("Sub", ["bent", "centre"], ["normed"]), n("Relu", ["normed"], ["features"]), mean("features", 2, 3),
    ]  # fmt: skip
    assert graphs.find_activations(network(norm)) == ["features", "conv"]


def test_slices_do_not_disturb() -> None:
    """over_slices moves axes of the volume; maps inside stay possible along every axis."""
    model = network([n("Relu", ["conv"], ["features"]), mean("features", 2, 3)])
    for axis in ("z", "y", "x"):
        wrapped = graphs.over_slices(model, axis=axis)  # type: ignore[arg-type]
        assert graphs.find_activations(wrapped)[0] == "features"
        graphs.gradcam(wrapped)
