"""Weights that two nodes read in different ways, each way given its own copy."""

from __future__ import annotations

import onnx

_LAYOUTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def untied(model: bytes) -> bytes:
    """The same graph, in which convolutions, transposed convolutions and products do not share a weight.

    OpenVINO (2026.4.1 at least) packs a weight in the layout of one of its readers and uses that for the others too
    where the shapes happen to fit: wrong numbers, no error. The gradient of a strided convolution or of a linear layer
    is such a pair. Readers of one kind go on sharing. Bytes that are no model are passed on: the engine says so.
    """
    try:
        proto = onnx.load_from_string(model)
    except Exception:  # protobuf's own class
        return model
    graph = proto.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    constants = {node.output[0]: node for node in graph.node if node.op_type == "Constant"}
    copies: dict[tuple[str, str], str] = {}  # (weight, how it is read) -> name
    used: set[str] = set()
    for node in list(graph.node):
        for k, weight in enumerate(node.input):
            if node.op_type not in _LAYOUTS or not (weight in tensors or weight in constants):
                continue
            way = _way(node, k)
            if (weight, way) not in copies:
                copies[weight, way] = f"{weight}/read_by_{way}" if weight in used else weight
                if weight in used and weight in tensors:
                    graph.initializer.add().CopyFrom(tensors[weight])
                    graph.initializer[-1].name = copies[weight, way]
                elif weight in used:
                    graph.node.insert(0, constants[weight])
                    graph.node[0].output[0] = copies[weight, way]
                used.add(weight)
            node.input[k] = copies[weight, way]
    return bytes(proto.SerializeToString()) if any(name != weight for (weight, _), name in copies.items()) else model


def _way(node: onnx.NodeProto, k: int) -> str:
    flags = "".join(str(a.i) for a in node.attribute if a.name in ("transA", "transB"))
    return f"{node.op_type}_{k}_{flags}"
