"""One-node models and the two oracles of their gradients: finite differences, and the forward on a basis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import tolerances
from layer_fast import graphs

Shape = Sequence[int | str | None]


def model(
    op: str,
    x: np.ndarray,
    constants: Sequence[np.ndarray | None] = (),
    *,
    opset: int = 21,
    dims: Shape | None = None,
    attributes: Mapping[str, Any] | None = None,
    before: int = 0,
    outputs: int = 1,
    graph_nodes: Any = None,
) -> onnx.ModelProto:
    """y = op(constants[:before], x, constants[before:]) with input `x` (dims: its declared dimensions)."""
    names, initializers = [], []
    for i, value in enumerate(constants):
        names.append("" if value is None else f"c{i}")
        if value is not None:
            initializers.append(numpy_helper.from_array(value, f"c{i}"))
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    ys = ["y", *(f"y{i}" for i in range(1, outputs))]
    node = helper.make_node(op, [*names[:before], "x", *names[before:]], ys, name="the_node", **dict(attributes or {}))
    info = helper.make_tensor_value_info("x", kind, list(x.shape) if dims is None else list(dims))
    out = [helper.make_tensor_value_info(y, kind, None) for y in ys]
    graph = helper.make_graph(graph_nodes or [node], "single", [info], out, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9 if opset < 21 else 10)


def session(m: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(m.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(m: onnx.ModelProto, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    s = session(m)
    names = [o.name for o in s.get_outputs()]
    return dict(zip(names, s.run(names, inputs), strict=True))


def run_openvino(m: onnx.ModelProto, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """OpenVINO as a user calls it, without what our engine does to the graph."""
    from layer_fast.engines.openvino import _runtime  # imports it without its telemetry

    core = _runtime()
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core.compile_model(core.read_model(m.SerializeToString()), "CPU", options)
    results = compiled(inputs)
    return {name: results[o] for o in compiled.outputs for name in o.get_names()}


def reference(m: onnx.ModelProto, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip([o.name for o in m.graph.output], ReferenceEvaluator(m).run(None, inputs), strict=True))


def difference(m: onnx.ModelProto, x: np.ndarray, cotangent: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """Central differences of sum(cotangent * y) in float64 by the reference implementation of onnx."""
    forward = ReferenceEvaluator(m)
    slope = np.zeros(x.size)
    for i in range(x.size):
        step = np.zeros(x.size)
        step[i] = h
        up, down = (forward.run(["y"], {"x": x + s * step.reshape(x.shape)})[0] for s in (1, -1))
        slope[i] = np.sum(cotangent * (up - down)) / (2 * h)
    return slope.reshape(x.shape)


def basis(m: onnx.ModelProto, x: np.ndarray, cotangent: np.ndarray, h: float) -> np.ndarray:
    """The same in ONNX Runtime, all steps as one batch: exact where y is linear within h of x. x is (1, ...)."""
    steps = (np.eye(x.size, dtype=x.dtype) * x.dtype.type(h)).reshape(x.size, *x.shape[1:])
    up, down = (run(m, x=x + s * steps)["y"] for s in (1, -1))
    slopes = ((up - down).astype(np.float64) * cotangent).reshape(x.size, -1).sum(1) / (2 * h)
    return slopes.reshape(x.shape)


def relative(a: np.ndarray, b: np.ndarray) -> float:
    """L2 error of a relative to the norm of b (to 1 where b vanishes)."""
    norm = float(np.linalg.norm(b))
    return float(np.linalg.norm(a.astype(np.float64) - b)) / (norm if norm > 0 else 1.0)


def check_linear(
    op: str,
    x: np.ndarray,
    constants: Sequence[np.ndarray | None] = (),
    *,
    h: float = 1.0,
    dynamic: bool = False,
    **options: Any,
) -> None:
    """Gradient in ONNX Runtime against the forward on a basis; `dynamic` leaves all sizes but the channels open."""
    dims: list[int | str | None] = ["B", *x.shape[1:]]
    if dynamic:
        dims = ["B", x.shape[1], *(f"s{i}" for i in range(x.ndim - 2))]
    m = model(op, x, constants, dims=dims, **options)
    y = run(m, x=x)["y"]
    cotangent = np.random.default_rng(5).standard_normal(y.shape).astype(x.dtype)
    result = run(graphs.gradient(m, "y", ["x"]), x=x, cotangent=cotangent)
    expected = basis(m, x, cotangent, h)
    assert result["grad_x"].shape == x.shape
    assert relative(result["grad_x"], expected) < tolerances.RULE_LINEAR


def check_formula(op: str, x: np.ndarray, constants: Sequence[np.ndarray], formula: Any, **options: Any) -> None:
    """Gradient in ONNX Runtime against central differences of a formula, where the reference has no float64."""
    m = model(op, x.astype(np.float32), [_as(c, np.float32) for c in constants], **options)
    cotangent = np.random.default_rng(5).standard_normal(formula(x).shape)
    slope = np.zeros(x.size)
    for i in range(x.size):
        step = (np.arange(x.size) == i).reshape(x.shape) * 1e-5
        slope[i] = np.sum(cotangent * (formula(x + step) - formula(x - step))) / 2e-5
    got = run(graphs.gradient(m, "y", ["x"]), x=x.astype(np.float32), cotangent=cotangent.astype(np.float32))
    assert relative(got["y"], formula(x)) < tolerances.NET_FORWARD
    assert relative(got["grad_x"], slope.reshape(x.shape)) < tolerances.RULE_FLOAT32


def check_smooth(
    op: str, x: np.ndarray, constants: Sequence[np.ndarray | None] = (), *, engine: bool = True, **options: Any
) -> None:
    """Gradient graph in float64 (reference) and float32 (ONNX Runtime) against central differences in float64."""
    m = model(op, x.astype(np.float64), [_as(c, np.float64) for c in constants], **options)
    y = reference(m, x=x.astype(np.float64))["y"]
    cotangent = np.random.default_rng(5).standard_normal(y.shape)
    expected = difference(m, x.astype(np.float64), cotangent)
    g = graphs.gradient(m, "y", ["x"])
    exact = reference(g, x=x.astype(np.float64), cotangent=cotangent)["grad_x"]
    assert exact.shape == x.shape
    assert relative(exact, expected) < tolerances.RULE_FLOAT64
    if engine:
        single = model(op, x.astype(np.float32), [_as(c, np.float32) for c in constants], **options)
        g = graphs.gradient(single, "y", ["x"])
        got = run(g, x=x.astype(np.float32), cotangent=cotangent.astype(np.float32))["grad_x"]
        assert relative(got, expected) < tolerances.RULE_FLOAT32


def _as(value: np.ndarray | None, dtype: Any) -> np.ndarray | None:
    return value.astype(dtype) if value is not None and value.dtype.kind == "f" else value


def pooled(logits: np.ndarray, pooling: str) -> np.ndarray:
    """Slice logits (B, n, K) -> (B, K) in float64, as defined."""
    logits = logits.astype(np.float64)
    if pooling == "mean_logit":
        return logits.mean(1)
    if pooling == "max_logit":
        return logits.max(1)
    chance = np.exp(logits) / np.exp(logits).sum(2, keepdims=True)
    return np.log(chance.mean(1))


__all__ = ["TensorProto", "check_formula", "check_linear", "check_smooth", "helper", "model", "relative", "run"]
