"""What is known before a graph runs: Constant nodes, and sizes worked out from constants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..errors import ModelError

LARGEST = 4096
"""Elements of an integer tensor that is worked out in advance: sizes and indices, not data."""
FAILS = (NotImplementedError, RuntimeError, ValueError, TypeError, IndexError)
"""How the reference implementation of onnx says that it cannot compute a node."""


def constants_to_initializers(graph: onnx.GraphProto) -> None:
    """Constant nodes, unless they are an output of the graph."""
    outputs = {o.name for o in graph.output}
    kept = []
    for node in graph.node:
        if node.op_type != "Constant" or node.output[0] in outputs:
            kept.append(node)
            continue
        graph.initializer.append(_constant(node))
    if len(kept) < len(graph.node):
        del graph.node[:]
        graph.node.extend(kept)


def _constant(node: onnx.NodeProto) -> onnx.TensorProto:
    attribute = node.attribute[0]
    value = helper.get_attribute_value(attribute)
    if attribute.name == "value":
        tensor = onnx.TensorProto()
        tensor.CopyFrom(value)
        tensor.name = node.output[0]
        return tensor
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    if attribute.name not in kinds:
        label = f"node {node.name or node.output[0]!r} (Constant)"
        raise ModelError(f"{label}: attribute {attribute.name} is not supported")
    return numpy_helper.from_array(np.array(value, kinds[attribute.name]), node.output[0])


def fold_integers(model: onnx.ModelProto) -> None:
    """Integer and boolean nodes that follow from initializers alone become initializers.

    Exporters leave arithmetic on sizes that shape inference does not follow (Mod, Reshape of an index): behind it
    even the rank of a tensor would be unknown.
    """
    graph = model.graph
    known = {t.name: t for t in graph.initializer}
    outputs = {o.name for o in graph.output}
    kept = []
    for node in graph.node:
        value = None if outputs.intersection(node.output) else _integers(node, known, model)
        if value is None:
            kept.append(node)
            continue
        graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        known[node.output[0]] = graph.initializer[-1]
    if len(kept) < len(graph.node):
        del graph.node[:]
        graph.node.extend(kept)


def _integers(node: onnx.NodeProto, known: Mapping[str, onnx.TensorProto], model: onnx.ModelProto) -> np.ndarray | None:
    if len(node.output) != 1 or not any(node.input) or not all(i in known for i in node.input if i):
        return None
    inputs = {i: known[i] for i in node.input if i}
    if node.op_type.startswith("Random") or any(np.prod(t.dims) > LARGEST for t in inputs.values()):
        return None
    value = evaluate(node, {k: numpy_helper.to_array(t) for k, t in inputs.items()}, model, 0)
    return value if value is not None and value.dtype.kind in "iub" and value.size <= LARGEST else None


def evaluate(
    node: onnx.NodeProto, inputs: Mapping[str, np.ndarray], model: onnx.ModelProto, index: int
) -> np.ndarray | None:
    """One constant node by the reference implementation of the onnx package; None where that has none."""
    from onnx.reference import ReferenceEvaluator

    infos = [
        helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for k, v in inputs.items()
    ]
    outputs = [helper.make_value_info(o, onnx.TypeProto()) for o in node.output if o]
    graph = helper.make_graph([node], "fold", infos, outputs)
    try:
        single = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
        result: Any = ReferenceEvaluator(single).run([node.output[index]], dict(inputs))
    except FAILS:
        return None
    return np.asarray(result[0])
