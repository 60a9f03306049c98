"""Constants worked out in advance: their size is known before they are made."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from layer_fast import graphs
from layer_fast.errors import ModelError
from layer_fast.graphs import constants
from layer_fast.graphs.check import LARGEST_TENSOR

F32 = np.float32
GIANT = 1 << 40
MODEL = helper.make_model(
    helper.make_graph([], "g", [], []), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
)


def evaluated(op: str, *inputs: Any, **attributes: Any) -> np.ndarray | None:
    names = ["" if value is None else f"x{i}" for i, value in enumerate(inputs)]
    known = {name: np.asarray(value) for name, value in zip(names, inputs, strict=True) if name}
    return constants.evaluate(helper.make_node(op, names, ["y"], **attributes), known, MODEL, 0)


ONE = np.ones(1, F32)
IMAGE = np.ones((1, 1, 2, 2), F32)
GROWING = [
    ("ConstantOfShape", lambda n: [np.array([n])]),
    ("Expand", lambda n: [ONE, np.array([n])]),
    ("Tile", lambda n: [ONE, np.array([n])]),
    ("Range", lambda n: [np.array(0), np.array(n), np.array(1)]),
    ("Pad", lambda n: [ONE, np.array([0, n - 1])]),
    ("Resize", lambda n: [IMAGE, None, None, np.array([1, 1, 2, n])]),
    ("Resize", lambda n: [IMAGE, None, np.array([1, 1, 1, n / 2], F32)]),
    ("OneHot", lambda n: [np.array([0]), np.array(n), np.array([0.0, 1.0])]),
]


@pytest.mark.parametrize(("op", "make"), GROWING)
def test_what_would_be_giant_is_not_computed(op: str, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small = evaluated(op, *make(4))
    assert small is not None and small.shape[-1] == 4
    monkeypatch.setattr("onnx.reference.ReferenceEvaluator", None)  # called, it would be a TypeError and None as well
    monkeypatch.setattr(constants, "FAILS", ())
    assert evaluated(op, *make(GIANT)) is None


def test_scalars_and_plain_operators_are_computed() -> None:
    assert evaluated("ConstantOfShape", np.array([], np.int64)) == 0
    assert evaluated("Mul", np.array(2), np.array(3)) == 6
    found = evaluated("Einsum", np.ones((3, 4)), np.ones((4, 5)), equation="ij,jk->ik")
    assert found is not None and found.shape == (3, 5)
    assert evaluated("Einsum", *[np.ones(3000)] * 3, equation="i,j,k->ijk") is None


def test_too_little_memory_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("onnx.reference.ReferenceEvaluator", full)
    with pytest.raises(ModelError, match=r"node 'y' \(Neg\).*fits the memory.*no room"):
        evaluated("Neg", ONE)


def test_a_tensor_of_absurd_size_is_refused() -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["big"]),
        helper.make_node("ReduceSum", ["big"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 2]) for name in "xy"]
    shape = numpy_helper.from_array(np.array([2 * LARGEST_TENSOR]), "shape")
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ModelError, match="tensor 'big': expected at most"):
        graphs.gradient(model, "y", ["x"])


def test_a_deep_chain_takes_one_pass() -> None:
    """Work grows with the nodes, not with their square: calls are counted, since time is not to be trusted."""
    import cProfile
    import pstats

    def calls(count: int) -> int:
        names = ["x", *(f"t{k}" for k in range(count)), "y"]
        nodes: list[onnx.NodeProto] = [
            helper.make_node("Relu", [a], [b]) for a, b in pairwise(names)
        ]
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 1, 8, 8]) for name in "xy"]
        graph = helper.make_graph(nodes, "g", values[:1], values[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        with cProfile.Profile() as profile:
            assert len(graphs.find_activations(model, "y")) == count + 1
            graphs.gradient(model, "y", ["x"])
        return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]

    calls(10)
    assert calls(800) < 5 * calls(200)
