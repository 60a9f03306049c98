"""The end of a network: a package gives logits, so a softmax at the very end has to go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ModelError
from ..graphs.heads import PASSING
from ..models.graph_checks import ranks

if TYPE_CHECKING:
    import onnx


def squashing(model: onnx.ModelProto) -> onnx.NodeProto | None:
    """The Softmax or Sigmoid that ends a graph with one output, None where there is none. (LogSoftmax gives logits.)"""
    makers = {name: node for node in model.graph.node for name in node.output}
    node = makers.get(model.graph.output[0].name)
    while node is not None and node.op_type in PASSING:
        node = makers.get(node.input[0])
    return node if node is not None and node.op_type in ("Softmax", "Sigmoid") else None


def without_softmax(model: onnx.ModelProto, where: str) -> tuple[onnx.ModelProto, bool]:
    """A graph whose final Softmax over the classes is an Identity, and whether there was one.

    Only the differences of the logits matter to classes, margins and labels, and those are in front of the Softmax.
    Raises ModelError for a final Sigmoid, and for a Softmax over another axis.
    """
    import onnx

    found = squashing(model)
    if found is None:
        return model, False
    axis = next((a.i for a in found.attribute if a.name == "axis"), -1)
    rank = ranks(model, where).get(found.output[0], 0)
    if found.op_type != "Softmax" or not (axis == 1 or axis + rank == 1):
        raise ModelError(f"{where}: expected logits, found that node {found.name!r} ({found.op_type}) ends the graph; "
                         f"export the network without it")  # fmt: skip
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    node = next(n for n in copy.graph.node if n.output[0] == found.output[0])
    node.op_type = "Identity"
    del node.attribute[:]
    return copy, True
