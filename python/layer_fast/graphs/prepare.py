"""One form of every model before it is read: functions inlined, constants as initializers, shapes inferred."""

from __future__ import annotations

import onnx
from onnx import inliner, shape_inference

from ..errors import ModelError
from .check import DOMAINS, OPSETS, check_ops, check_tensors, check_valid, skeleton
from .constants import constants_to_initializers, fold_integers

SAME_SHAPE = frozenset({"GroupNormalization", "Mish", "HardSwish", "Celu", "MeanVarianceNormalization", "LRN"})


def prepare(model: onnx.ModelProto) -> onnx.ModelProto:
    """A private copy. Initializers that are listed as inputs too (old files) become plain constants."""
    _check_versions(model)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if copy.functions:
        copy = inliner.inline_local_functions(copy)
        del copy.functions[:]
    check_ops(copy)
    check_valid(copy)
    graph = copy.graph
    constants_to_initializers(graph)
    fold_integers(copy)
    names = {t.name for t in graph.initializer}
    inputs = [i for i in graph.input if i.name not in names]
    if len(inputs) < len(graph.input):
        del graph.input[:]
        graph.input.extend(inputs)
    used = {n.domain for n in graph.node}
    imports = [o for o in copy.opset_import if o.domain in used or o.domain in DOMAINS]
    del copy.opset_import[:]
    copy.opset_import.extend(imports)
    return infer(copy)


def infer(model: onnx.ModelProto) -> onnx.ModelProto:
    """State shapes and types of all tensors, also behind operators that the inference of onnx knows no shape of."""
    light = _infer_once(skeleton(model))
    while _fill_same_shape(light.graph):
        light = _infer_once(light)
    check_tensors(light.graph)
    for field in ("value_info", "output"):
        del getattr(model.graph, field)[:]
        getattr(model.graph, field).extend(getattr(light.graph, field))
    return model


def _fill_same_shape(graph: onnx.GraphProto) -> bool:
    """State the shape of outputs that have the shape of their input; True where one was stated."""
    infos = {i.name: i for i in [*graph.input, *graph.value_info, *graph.output]}
    filled = False
    for node in graph.node:
        known = infos.get(node.input[0]) if node.op_type in SAME_SHAPE else None
        if known is None or not known.type.tensor_type.HasField("shape"):
            continue
        output = infos.get(node.output[0])
        if output is None or not output.type.tensor_type.HasField("shape"):
            output = graph.value_info.add(name=node.output[0]) if output is None else output
            output.type.CopyFrom(known.type)
            infos[output.name] = output
            filled = True
    return filled


def _infer_once(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (shape_inference.InferenceError, RuntimeError) as error:
        raise ModelError(f"shape inference fails: {error}") from error


def _check_versions(model: onnx.ModelProto) -> None:
    versions = [o.version for o in model.opset_import if o.domain in DOMAINS]
    low, high = OPSETS
    if len(versions) != 1 or not low <= versions[0] <= high:
        raise ModelError(f"opset of the graph: expected {low} to {high}, found {versions}; convert or export it anew")
