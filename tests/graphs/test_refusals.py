"""What is refused, and that the message names the node, the input or the file's own words."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from graphs.single import model
from layer_fast import graphs
from layer_fast.errors import ModelError
from layer_fast.graphs.check import DIFFERENTIABLE
from layer_fast.graphs.rules import RULES

X = np.random.default_rng(1).standard_normal((1, 2, 4, 4)).astype(np.float32)
F = TensorProto.FLOAT


def build(nodes: list[Any], constants: dict[str, np.ndarray] | None = None, opset: int = 18) -> onnx.ModelProto:
    info = helper.make_tensor_value_info("x", F, ["B", 2, 4, 4])
    out = helper.make_tensor_value_info(nodes[-1].output[0], F, None)
    tensors = [numpy_helper.from_array(v, k) for k, v in (constants or {}).items()]
    graph = helper.make_graph(nodes, "g", [info], [out], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def node(op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs, outputs, name=f"my_{op}", **attributes)


def refused(m: onnx.ModelProto, text: str, output: str = "y") -> None:
    with pytest.raises(ModelError, match=text):
        graphs.gradient(m, output, ["x"])


def test_every_rule_is_on_the_list_of_allowed_operators() -> None:
    assert set(RULES) == DIFFERENTIABLE


def test_all_missing_rules_are_named_at_once() -> None:
    m = build([node("GlobalLpPool", ["x"], ["a"]), node("Hardmax", ["a"], ["y"])])
    refused(m, r"no gradient rule for GlobalLpPool \(node 'my_GlobalLpPool'\), Hardmax \(node 'my_Hardmax'\)")


def test_unknown_operator() -> None:
    refused(build([node("STFT", ["x"], ["y"])]), "my_STFT.*not on the list")


def test_foreign_domain() -> None:
    refused(build([node("FusedConv", ["x"], ["y"], domain="com.microsoft")]), "my_FusedConv.*'com.microsoft'")


def test_computed_weight() -> None:
    m = build(
        [node("Slice", ["x", "a", "b", "c"], ["w"]), node("Conv", ["x", "w"], ["y"])],
        {"a": np.array([0]), "b": np.array([1]), "c": np.array([2])},
    )
    refused(m, "my_Conv.*weight.*computed")


def test_weight_that_follows_from_constants_is_taken() -> None:
    m = build(
        [node("Mul", ["w", "s"], ["w2"]), node("Conv", ["x", "w2"], ["y"])],
        {"w": np.ones((1, 2, 1, 1), np.float32), "s": np.array(2, np.float32)},
    )
    graphs.gradient(m, "y", ["x"])


def test_control_flow() -> None:
    then = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["t"])], "t", [], [helper.make_tensor_value_info("t", F, None)]
    )
    m = build([node("If", ["c"], ["y"], then_branch=then, else_branch=then)], {"c": np.array(True)})
    refused(m, "my_If.*control flow")


def test_training_mode() -> None:
    ones = np.ones(2, np.float32)
    m = build(
        [node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y", "mo", "vo"], training_mode=1)],
        {"s": ones, "b": ones, "m": ones, "v": ones},
    )
    refused(m, "my_BatchNormalization.*training mode")


def test_external_data() -> None:
    m = build([node("Conv", ["x", "w"], ["y"])], {"w": np.ones((1, 2, 1, 1), np.float32)})
    m.graph.initializer[0].data_location = TensorProto.EXTERNAL
    refused(m, "initializer 'w'.*outside the file")


@pytest.mark.parametrize("opset", [12, 22])
def test_opset(opset: int) -> None:
    refused(build([node("Relu", ["x"], ["y"])], opset=opset), f"expected 13 to 21, found \\[{opset}\\]")


def test_names() -> None:
    m = model("Relu", X)
    with pytest.raises(ModelError, match=r"no tensor 'logits'.*inputs are \['x'\].*outputs \['y'\]"):
        graphs.gradient(m)
    with pytest.raises(ModelError, match="no tensor 'image'"):
        graphs.gradient(m, "y")
    with pytest.raises(ModelError, match="the string 'x'"):
        graphs.gradient(m, "y", "x")
    with pytest.raises(ModelError, match="no tensor 'features'"):
        graphs.gradcam(m, "y")
    with pytest.raises(ModelError, match="no tensor 'logits'"):
        graphs.gradcam(m)


def test_name_that_is_taken() -> None:
    m = build([node("Relu", ["x"], ["cotangent"]), node("Relu", ["cotangent"], ["y"])])
    refused(m, "'cotangent' already")


def test_output_that_does_not_depend_on_the_input() -> None:
    m = build([node("Greater", ["x", "c"], ["b"]), node("Cast", ["b"], ["y"], to=F)], {"c": np.array(0, np.float32)})
    refused(m, "'y' does not depend on 'x'")


def test_integer_tensor() -> None:
    m = build([node("Shape", ["x"], ["s"]), node("Relu", ["x"], ["y"])])
    with pytest.raises(ModelError, match="'s' has element type INT64"):
        graphs.gradient(m, "s", ["x"])


def test_map_of_a_flat_activation() -> None:
    m = build([node("Flatten", ["x"], ["flat"]), node("Relu", ["flat"], ["y"])])
    with pytest.raises(ModelError, match=r"'flat'.*\(batch, features"):
        graphs.gradcam(m, "y", "flat")


def test_gradient_through_a_computed_scale_of_a_norm() -> None:
    m = build(
        [node("ReduceMean", ["x", "axes"], ["s"], keepdims=0), node("InstanceNormalization", ["x", "s", "b"], ["y"])],
        {"axes": np.array([0, 2, 3]), "b": np.ones(2, np.float32)},
    )
    refused(m, "my_InstanceNormalization.*scale.*computed")


def test_wrong_file() -> None:
    m = build([node("Relu", ["nothing"], ["y"])])
    with pytest.raises(ModelError):
        graphs.gradient(m, "y", ["x"])
