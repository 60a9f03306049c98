"""On which axis of a tensor its channels lie, as far as the nodes around it say so."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from ..errors import ModelError
from .build import Builder
from .check import names
from .rules import Node

POINTWISE = names(
    "Abs Add Cast Celu Clip Div Dropout Elu Erf Exp Gelu HardSigmoid HardSwish Identity LayerNormalization LeakyRelu",
    "Log Max Mean Min Mish Mul Neg Pow PRelu Reciprocal ReduceMean ReduceSum Relu Selu Sigmoid Softmax Softplus",
    "Softsign Sqrt Sub Sum Tanh Where",
)
"""Every element stays at its place, or is joined with others along axes that stay: layout and origin pass through."""

KEEPING = POINTWISE | names("Concat MatMul Pad Resize Slice")
"""Operators that leave the order of axes: the layout passes through."""

SECOND = names(
    "AveragePool BatchNormalization Conv ConvTranspose DepthToSpace GlobalAveragePool GlobalMaxPool",
    "GroupNormalization InstanceNormalization LRN MaxPool SpaceToDepth",
)
"""Operators of (batch, channels, *spatial) tensors by definition."""


class Layout:
    """`axis[name]`: the axis of the channels, for tensors of at least 4 axes where it is known.

    Known are tensors beside the operators of SECOND (axis 1), behind a Transpose that moves axis 1 to the end, in front
    of a mean over axes 1..rank-2 (the last axis), and what these reach through Transpose and KEEPING. Where nodes
    contradict each other, the one in front of a tensor counts. `origin[name]`: of a channels-last tensor, the
    tensor (batch, channels, *spatial) it is a Transpose of, up to elementwise steps and norms; missing where there is
    none or not one. Three passes over the nodes.
    """

    def __init__(self, b: Builder) -> None:
        self._b = b
        self.axis: dict[str, int] = {}
        self.origin: dict[str, str] = {}
        nodes = [node for node in b.forward if node.input and node.output]
        for node in nodes:
            self._forwards(node)
        for node in reversed(nodes):
            self._backwards(node)
        for node in nodes:
            self._forwards(node)
            self._trace(node)

    def check(self, name: str) -> None:
        """Refuse a tensor whose channels are known to lie elsewhere than on axis 1. Raises ModelError."""
        axis = self.axis.get(name, 1)
        if axis == 1:
            return
        last = axis == self._b.rank(name) - 1
        origin = f"; take {self.origin[name]!r} in front of its Transpose" if name in self.origin else ""
        raise ModelError(
            f"activation {name!r}: expected (batch, features, *spatial), found "
            f"{'channels last' if last else f'channels on axis {axis}'}, {self._b.shape(name)}{origin}"
        )

    def _forwards(self, node: onnx.NodeProto) -> None:
        x, y = node.input[0], node.output[0]
        rank = self._rank(y)
        if rank is None:
            return
        if node.op_type in SECOND:
            self.axis[y] = 1
        elif node.op_type == "Transpose":
            perm = _permutation(node, rank)
            if x not in self.axis and perm == [0, *range(2, rank), 1]:
                self.axis[x] = 1
            if x in self.axis:
                self.axis[y] = perm.index(self.axis[x])
        elif node.op_type in KEEPING:
            found = {self.axis[i] for i in self._data(node, rank) if i in self.axis}
            if len(found) == 1:
                self.axis[y] = found.pop()

    def _backwards(self, node: onnx.NodeProto) -> None:
        x, y = node.input[0], node.output[0]
        rank = self._rank(x)
        if rank is None:
            return
        if node.op_type in SECOND:
            self.axis.setdefault(x, 1)
        elif node.op_type == "ReduceMean" and reduced_axes(self._b, node) == list(range(1, rank - 1)):
            self.axis.setdefault(x, rank - 1)
        elif y in self.axis and node.op_type == "Transpose":
            self.axis.setdefault(x, _permutation(node, rank)[self.axis[y]])
        elif y in self.axis and node.op_type in KEEPING:
            for i in self._data(node, self._rank(y)):
                self.axis.setdefault(i, self.axis[y])

    def _trace(self, node: onnx.NodeProto) -> None:
        y = node.output[0]
        if self.axis.get(y, 1) == 1:
            return
        if node.op_type == "Transpose" and self.axis.get(node.input[0]) == 1:
            self.origin[y] = node.input[0]
        elif node.op_type in POINTWISE:
            origins = {self.origin.get(i) for i in self._data(node, self._rank(y))}
            origin = origins.pop() if len(origins) == 1 else None
            if origin is not None:
                self.origin[y] = origin

    def _data(self, node: onnx.NodeProto, rank: int | None) -> list[str]:
        """Inputs that are computed and have as many axes as the output."""
        inputs = [node.input[0]] if node.op_type in ("MatMul", "Pad", "Resize", "Slice") else node.input
        if node.op_type == "MatMul" and not self._b.is_fixed(node.input[1]):
            return []
        return [i for i in inputs if i and not self._b.is_fixed(i) and self._rank(i) == rank]

    def _rank(self, name: str) -> int | None:
        """Number of axes where it is known and at least 4."""
        rank = self._b.rank_or_none(name)
        return rank if rank is not None and rank >= 4 else None


def reduced_axes(b: Builder, node: onnx.NodeProto) -> list[int] | None:
    """The axes of a Reduce node, ascending and not negative; None where they are computed or not stated."""
    n = Node(node, b)
    stated: Sequence[int] | None = n.attr("axes")
    if stated is None:
        value = n.value(1)
        stated = None if value is None else value.ravel().tolist()
    rank = b.rank_or_none(node.input[0])
    return sorted(int(a) % rank for a in stated) if stated and rank else None


def _permutation(node: onnx.NodeProto, rank: int) -> list[int]:
    return next((list(a.ints) for a in node.attribute if a.name == "perm"), list(reversed(range(rank))))
