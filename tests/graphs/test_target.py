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
from layer_fast.errors import ModelError

K = 4
R = np.random.default_rng(8)
WEIGHT = R.standard_normal((5, K)).astype(np.float32)


def linear(opset: int = 18, classes: Any = K) -> onnx.ModelProto:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["B", 5])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", classes])
    node = helper.make_node("MatMul", ["image", "w"], ["logits"])
    graph = helper.make_graph([node], "linear", [image], [logits], [numpy_helper.from_array(WEIGHT, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def value(logits: np.ndarray, positive: int, negative: int | None, kind: str) -> np.ndarray:
    if kind == "logit":
        return logits[:, positive]
    if kind == "probability":
        return np.exp(logits[:, positive]) / np.exp(logits).sum(axis=1)
    if negative is not None:
        return logits[:, positive] - logits[:, negative]
    return logits[:, positive] - np.log(np.exp(np.delete(logits, positive, axis=1)).sum(axis=1))


@pytest.mark.parametrize("opset", [13, 18, 20])
@pytest.mark.parametrize("case", [(2, 0, "margin"), (1, None, "margin"), (3, None, "logit"), (0, None, "probability")])
def test_target_and_its_gradient(case: tuple[int, int | None, str], opset: int) -> None:
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


def test_log_odds_do_not_overflow() -> None:
    model = graphs.with_target(linear(), positive=1)
    found = run(graphs.gradient(model, output="target"), image=np.full((1, 5), 1e4, np.float32),
                cotangent=np.ones((1, 1), np.float32))  # fmt: skip
    assert np.isfinite(found["target"]).all() and np.isfinite(found["grad_image"]).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"positive": 4}, "positive: expected a class 0..3, found 4"),
        ({"positive": 0, "negative": 0}, "expected another class"),
        ({"positive": 0, "kind": "odds"}, "expected one of margin, logit, probability"),
        ({"positive": 0, "output": "nothing"}, "expected a tensor \\(batch, classes\\) named 'nothing'"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        graphs.with_target(linear(), **given)
