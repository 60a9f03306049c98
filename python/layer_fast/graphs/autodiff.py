"""Reverse-mode differentiation of an ONNX graph: the result is an ordinary ONNX graph."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from ..errors import ModelError
from .build import Builder
from .check import NO_GRADIENT
from .rules import RULES, Node


def gradient(model: onnx.ModelProto, output: str = "logits", wrt: Sequence[str] = ("image",)) -> onnx.ModelProto:
    """Add the gradient of `output` to a model.

    The new graph keeps all inputs and outputs and gains the input `cotangent` (shape and dtype of `output`) and, for
    every name in `wrt`, the output `grad_NAME` = d(sum(cotangent * output)) / d(NAME), in the shape of that tensor.
    `output` and `wrt` may be any floating tensors of the graph, by name. At a kink the subgradient is PyTorch's.
    Raises ModelError, naming the node, for an operator without rule, computed weights or control flow.
    """
    if isinstance(wrt, str):
        raise ModelError(f"wrt: expected a sequence of tensor names, found the string {wrt!r}")
    b = Builder(model)
    cotangent = b.add_input("cotangent", like=_float(b, output, "output"))
    gradients = backpropagate(b, output, cotangent, wrt)
    for name in wrt:
        b.add_output(gradients[name], f"grad_{name}", b.elem_type(name), b.shape(name))
    return b.finish()


def backpropagate(b: Builder, output: str, cotangent: str, wrt: Sequence[str]) -> dict[str, str]:
    """Append the backward nodes from `output` down to `wrt`, no further; names of the gradients by tensor."""
    nodes, active = find_path(b, output, wrt)
    _refuse_missing(nodes)
    pending: dict[str, list[str]] = {output: [cotangent]}
    for node in reversed(nodes):
        node.gradients = [_total(b, pending, y) for y in node.outputs]
        for name, part in zip(node.inputs, _apply(b, node), strict=False):
            if part is not None and name in active:
                pending.setdefault(name, []).append(part)
    totals = {name: _total(b, pending, name) for name in wrt}
    return {name: total for name, total in totals.items() if total is not None}


def find_path(b: Builder, output: str, wrt: Sequence[str]) -> tuple[list[Node], frozenset[str]]:
    """Nodes between `wrt` and `output` in graph order, and the tensors that carry gradient on the way."""
    _float(b, output, "output")
    reached = {_float(b, name, "wrt") for name in wrt}
    for proto in b.forward:
        if proto.op_type not in NO_GRADIENT and any(i in reached for i in proto.input):
            reached.update(y for y in proto.output if b.is_float(y))
    needed = {output} & reached
    protos = []
    for proto in reversed(b.forward):
        if any(y in needed for y in proto.output) and any(i in reached for i in proto.input):
            if proto.op_type in NO_GRADIENT:
                continue
            protos.append(proto)
            needed.update(i for i in proto.input if i in reached)
    for name in wrt:
        if name not in needed:
            raise ModelError(f"output {output!r} does not depend on {name!r}, or only through steps without gradient")
    active = frozenset(needed)
    return [Node(p, b, active) for p in reversed(protos)], active


def _apply(b: Builder, node: Node) -> Sequence[str | None]:
    first = node.gradients[0]
    if node.op != "Split" and (first is None or any(g is not None for g in node.gradients[1:])):
        raise node.refuse("gradient of its second or a later output is not supported")
    parts = RULES[node.op](b, node, first or "")
    for i in range(len(node.inputs)):
        if node.needs(i) and (i >= len(parts) or parts[i] is None):
            raise node.refuse(f"no gradient rule for input {i} ({node.inputs[i]!r}), which is computed from the input")
    return parts


def _total(b: Builder, pending: dict[str, list[str]], name: str) -> str | None:
    parts = pending.get(name)
    if not parts:
        return None
    while len(parts) > 1:
        parts[:2] = [b.add(parts[0], parts[1])]
    return parts[0]


def _refuse_missing(nodes: Sequence[Node]) -> None:
    missing = [n for n in nodes if n.op not in RULES]
    if missing:
        raise ModelError("no gradient rule for " + ", ".join(f"{n.op} (node {n.proto.name or n.y!r})" for n in missing))


def _float(b: Builder, name: str, what: str) -> str:
    if not b.knows(name):
        raise ModelError(
            f"{what}: the graph has no tensor {name!r}; its inputs are {[i.name for i in b.graph.input]}, "
            f"its outputs {sorted(b.outputs)}"
        )
    if not b.is_float(name):
        kind = onnx.TensorProto.DataType.Name(b.elem_type(name))
        raise ModelError(f"{what}: tensor {name!r} has element type {kind}, expected a floating one")
    return name
