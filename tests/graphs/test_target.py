"""The target head: values and gradients against their formulas in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tolerances
from graphs.single import relative, run
from layer_fast import graphs
from layer_fast.engines import available_engines, open_engine
from layer_fast.errors import ModelError

K = 4
R = np.random.default_rng(8)
WEIGHT = R.standard_normal((5, K)).astype(np.float32)
WEIGHTS = [numpy_helper.from_array(WEIGHT, "w"), numpy_helper.from_array(np.array([1]), "axis")]


def linear(opset: int = 18, classes: Any = K) -> onnx.ModelProto:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["B", 5])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", classes])
    nodes = [helper.make_node("MatMul", ["image", "w"], ["logits"]),
             helper.make_node("Unsqueeze", ["image", "axis"], ["volume"])]  # fmt: skip
    graph = helper.make_graph(nodes, "linear", [image], [logits], WEIGHTS)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def value(logits: np.ndarray, positive: int | list[int], negative: int | None, kind: str) -> np.ndarray:
    if isinstance(positive, list):
        odds = np.exp(logits[:, positive]).sum(axis=1) / np.exp(np.delete(logits, positive, axis=1)).sum(axis=1)
        return np.log(odds) if kind == "margin" else odds / (1 + odds)
    if kind == "logit":
        return logits[:, positive]
    if kind == "probability":
        return np.exp(logits[:, positive]) / np.exp(logits).sum(axis=1)
    if negative is not None:
        return logits[:, positive] - logits[:, negative]
    return logits[:, positive] - np.log(np.exp(np.delete(logits, positive, axis=1)).sum(axis=1))


@pytest.mark.parametrize("opset", [13, 18, 20])
@pytest.mark.parametrize(
    "case",
    [(2, 0, "margin"), (1, None, "margin"), (3, None, "logit"), (0, None, "probability"), ([2, 3], None, "margin"),
     ([1, 2, 3], None, "margin"), ([2, 3], None, "probability")],
)  # fmt: skip
def test_target_and_its_gradient(case: tuple[int | list[int], int | None, str], opset: int) -> None:
    positive, negative, kind = case
    model = graphs.with_target(linear(opset), positive=positive, negative=negative, kind=kind)
    x = R.standard_normal((3, 5)).astype(np.float32)
    found = run(graphs.gradient(model, output="target"), image=x, cotangent=np.ones((3, 1), np.float32))
    wide, step = x.astype(np.float64), 1e-6

    def at(image: np.ndarray) -> np.ndarray:
        return value(image @ WEIGHT.astype(np.float64), positive, negative, kind)

    assert relative(found["target"][:, 0], at(wide)) < tolerances.NET_FORWARD
    slopes = [(at(wide + step * e) - at(wide - step * e)) / (2 * step) for e in np.eye(5)]
    assert relative(found["grad_image"], np.stack(slopes, axis=1)) < tolerances.RULE_FLOAT32


@pytest.mark.parametrize("engine", [name for name, v in available_engines().items() if not v.startswith("missing")])
def test_log_odds_do_not_overflow(engine: str) -> None:
    model = graphs.with_target(linear(), positive=1)
    # Some engines take this one apart without a shift.
    assert "ReduceLogSumExp" not in {node.op_type for node in model.graph.node}
    graph = graphs.gradient(model, output="target").SerializeToString()
    feeds = {"image": np.full((1, 5), 1e4, np.float32), "cotangent": np.ones((1, 1), np.float32)}
    target, gradient = open_engine(engine, graph, threads=1, label=engine).run(feeds, ("target", "grad_image"))
    assert np.isfinite(gradient).all()
    assert target[0, 0] == pytest.approx(_log_odds(feeds["image"] @ WEIGHT, 1), rel=tolerances.NET_FORWARD)


def _log_odds(logits: np.ndarray, positive: int) -> float:
    wide = logits[0].astype(np.float64)
    others = np.delete(wide, positive)
    return float(wide[positive] - others.max() - np.log(np.exp(others - others.max()).sum()))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"positive": 4}, "positive: expected a class 0..3, found 4"),
        ({"positive": 0, "negative": 0}, "expected another class"),
        ({"positive": 0, "kind": "odds"}, "expected one of margin, logit, probability"),
        ({"positive": 0, "output": "nothing"}, "expected a tensor \\(batch, classes\\) named 'nothing'"),
        ({"positive": 0, "output": "volume"}, "output 'volume': expected \\(batch, classes\\), found rank 3"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        graphs.with_target(linear(), **given)
