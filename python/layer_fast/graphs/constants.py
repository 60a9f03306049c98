"""What is known before a graph runs: Constant nodes, and sizes worked out from constants."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

from ..errors import ModelError
from .check import names

LARGEST = 4096
"""Elements of an integer tensor that is worked out in advance: sizes and indices, not data."""
LARGEST_VALUE = 2**26
"""Elements of any constant that is worked out in advance, where its inputs together are not larger."""
GROWING = names(
    "AffineGrid CenterCropPad Col2Im ConstantOfShape ConvTranspose Einsum Expand EyeLike OneHot Pad Range Resize Tile"
)
"""Operators whose output can be larger than what broadcasting or joining their inputs gives."""
FAILS = (RuntimeError, ValueError, TypeError, IndexError)
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
    value = evaluate(node, {k: numpy_helper.to_array(t) for k, t in inputs.items()}, model, 0, LARGEST)
    return value if value is not None and value.dtype.kind in "iub" and value.size <= LARGEST else None


def evaluate(
    node: onnx.NodeProto,
    inputs: Mapping[str, np.ndarray],
    model: onnx.ModelProto,
    index: int,
    largest: int = LARGEST_VALUE,
) -> np.ndarray | None:
    """One constant node by the reference implementation of the onnx package; None where that has none.

    Also None, before anything is computed, where the output would have more than `largest` elements and more than the
    inputs together, or a size that cannot be told. Raises ModelError where memory does not suffice all the same.
    """
    from onnx.reference import ReferenceEvaluator

    infos = [
        helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for k, v in inputs.items()
    ]
    outputs = [helper.make_value_info(o, onnx.TypeProto()) for o in node.output if o]
    graph = helper.make_graph([node], "fold", infos, outputs)
    try:
        single = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
        count = _count(single, inputs, index)
        if count is None or count > max(largest, sum(v.size for v in inputs.values())):
            return None
        result: Any = ReferenceEvaluator(single).run([node.output[index]], dict(inputs))
    except FAILS:
        return None
    except MemoryError as error:
        label = f"node {node.name or node.output[0]!r} ({node.op_type})"
        raise ModelError(f"{label}: expected a constant that fits the memory, found: {error}") from error
    return np.asarray(result[0])


def _count(single: onnx.ModelProto, inputs: Mapping[str, np.ndarray], index: int) -> int | None:
    """Elements of an output of a model of one node, from the shapes and small values of its inputs.

    None for an operator that can make more than it is given (GROWING), where shape inference does not tell how much.
    """
    node = single.graph.node[0]
    told = onnx.ModelProto()
    told.CopyFrom(single)
    told.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in inputs.items() if v.size <= LARGEST)
    graph = shape_inference.infer_shapes(told, data_prop=True).graph
    tensor = next(o.type.tensor_type for o in graph.output if o.name == node.output[index])
    dims = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]
    if tensor.HasField("shape") and all(d >= 0 for d in dims):
        return math.prod(dims)
    return None if node.op_type in GROWING else 0
