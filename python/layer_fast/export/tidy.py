"""One plain form of a brought graph: one input, one output, nothing that is not used, no traces of a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError
from ..models.graph_checks import check_graph

if TYPE_CHECKING:
    import onnx


def tidy(model: onnx.ModelProto, where: str, wanted_input: str | None, wanted_output: str | None) -> onnx.ModelProto:
    """A copy with one input and one output, dead nodes and unused weights left out, every node named.

    Doc strings and metadata go: exporters write paths and source lines there. Raises ModelError: what
    models.graph_checks refuses, no or several inputs or outputs and none named, weights that are NaN or infinite.
    """
    import onnx

    check_graph(model, where)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]  # old files list weights as inputs
    image = _pick(inputs, wanted_input, f"{where}: input")
    logits = _pick(list(graph.output), wanted_output, f"{where}: output")
    _keep(graph.input, [image])
    _keep(graph.output, [logits])
    _prune(graph)
    missing = _unfed(graph)
    if missing:
        raise ModelError(f"{where}: expected {image.name!r} as the only input {logits.name!r} needs, "
                         f"found that it needs {sorted(missing)[:5]} too")  # fmt: skip
    _strip(copy)
    _check_weights(graph, where)
    return copy


def _pick(values: list[onnx.ValueInfoProto], wanted: str | None, where: str) -> onnx.ValueInfoProto:
    names = [value.name for value in values]
    if wanted is None and len(values) == 1:
        return values[0]
    if wanted is None:
        raise ModelError(f"{where}: expected one, found {names}; name the right one in the fields")
    if wanted not in names:
        raise ModelError(f"{where}: expected one named {wanted!r} as in the fields, found {names}")
    return values[names.index(wanted)]


def _keep(field: object, values: list[onnx.ValueInfoProto]) -> None:
    import onnx

    copies = []
    for value in values:
        copies.append(onnx.ValueInfoProto())
        copies[-1].CopyFrom(value)
    del field[:]  # type: ignore[attr-defined]
    field.extend(copies)  # type: ignore[attr-defined]


def _prune(graph: onnx.GraphProto) -> None:
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if any(name in needed for name in node.output):
            needed.update(name for name in node.input if name)
            kept.append(node)
    if len(kept) < len(graph.node):
        nodes = list(reversed(kept))
        del graph.node[:]
        graph.node.extend(nodes)
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    if len(weights) < len(graph.initializer):
        del graph.initializer[:]
        graph.initializer.extend(weights)


def _unfed(graph: onnx.GraphProto) -> set[str]:
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    known |= {sparse.values.name for sparse in graph.sparse_initializer}
    known |= {name for node in graph.node for name in node.output}
    return {name for node in graph.node for name in node.input if name} - known


def _strip(model: onnx.ModelProto) -> None:
    graph = model.graph
    del graph.value_info[:]  # shapes are inferred anew: those in the file may belong to a fixed batch
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    names: set[str] = set()
    for i, node in enumerate(graph.node):
        if not node.name or node.name in names:
            node.name = f"{node.op_type}_{i}"
        names.add(node.name)


def _check_weights(graph: onnx.GraphProto, where: str) -> None:
    from onnx import numpy_helper

    for tensor in graph.initializer:
        try:
            values = numpy_helper.to_array(tensor)
        except (ValueError, TypeError) as error:
            raise ModelError(f"{where}: weight {tensor.name!r}: expected data of shape {list(tensor.dims)}, "
                             f"found bytes that do not fit") from error  # fmt: skip
        if np.issubdtype(values.dtype, np.floating) and values.size and not np.isfinite(values).all():
            bad = int(values.size - np.count_nonzero(np.isfinite(values)))
            raise ModelError(f"{where}: weight {tensor.name!r}: expected finite numbers, found {bad} NaN or infinite")
