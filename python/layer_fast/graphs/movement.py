"""Rules of operators that move or repeat elements: shape, order, selection by index, concatenation."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from .build import Builder, Extent
from .rules import Gradients, Node, rule
from .shapes import cut, pack, plus, reshape, reshape_like, size, sizes, unbroadcast, zeros_like


@rule("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape_rule(b: Builder, n: Node, dy: str) -> Gradients:
    return [reshape_like(b, dy, n.x)]


@rule("Transpose")
def transpose(b: Builder, n: Node, dy: str) -> Gradients:
    order = n.attr("perm") or list(reversed(range(b.rank(n.x))))
    return [b.op("Transpose", dy, perm=[order.index(i) for i in range(len(order))])]


@rule("Expand")
def expand(b: Builder, n: Node, dy: str) -> Gradients:
    return [unbroadcast(b, dy, b.shape(n.y), n.x)]


@rule("Tile")
def tile(b: Builder, n: Node, dy: str) -> Gradients:
    repeats = n.constant(1, "repeats").tolist()
    extents: list[Extent] = []
    for axis, r in enumerate(repeats):
        extents += [r, size(b, n.x, axis)]
    blocks = reshape(b, dy, extents)
    return [b.reduce("Sum", blocks, list(range(0, 2 * len(repeats), 2)), keepdims=False)]


@rule("Concat")
def concat(b: Builder, n: Node, dy: str) -> Gradients:
    axis = n.attr("axis") % b.rank(n.y)
    parts: list[str | None] = []
    start: Extent = 0
    for i, x in enumerate(n.inputs):
        end = plus(b, start, size(b, x, axis))
        parts.append(cut(b, dy, axis, start, end) if n.needs(i) else None)
        start = end
    return parts


@rule("Split")
def split(b: Builder, n: Node, dy: str) -> Gradients:
    axis = n.attr("axis", 0) % b.rank(n.x)
    parts = [g or zeros_like(b, y) for g, y in zip(n.gradients, n.outputs, strict=True)]
    return [b.op("Concat", *parts, axis=axis)]


@rule("Gather")
def gather(b: Builder, n: Node, dy: str) -> Gradients:
    """Through a 0/1 matrix (indices x elements of the axis): no scatter. Indices may be computed, sizes dynamic."""
    rank = b.rank(n.x)
    axis, length, indices = n.attr("axis", 0) % rank, size(b, n.x, n.attr("axis", 0) % rank), n.value(1)
    if b.rank(n.inputs[1]) != 1:
        extents = sizes(b, n.x)
        dy = reshape(b, dy, [*extents[:axis], -1 if indices is None else indices.size, *extents[axis + 1 :]])
    if indices is None or not isinstance(length, int):
        hot = one_hot(b, b.op("Reshape", n.inputs[1], b.ints([-1])), 1, length, b.elem_type(n.y))
    else:
        flat = np.where(indices < 0, indices + length, indices).reshape(-1)
        if flat.size == length and np.array_equal(np.sort(flat), np.arange(length)):
            return [b.op("Gather", dy, b.ints(np.argsort(flat).tolist()), axis=axis), None]
        hot = n.array(flat[:, None] == np.arange(length)[None, :])
    return [picked_back(b, dy, hot, axis, rank), None]


def picked_back(b: Builder, dy: str, hot: str, axis: int, rank: int) -> str:
    """The adjoint of picking elements along an axis; hot is (picked, elements of the axis), 0 or 1."""
    if axis == rank - 1:
        return b.op("MatMul", dy, hot)
    order = [*(i for i in range(rank) if i != axis), axis]
    back = b.op("MatMul", b.op("Transpose", dy, perm=order), hot)
    return b.op("Transpose", back, perm=np.argsort(order).tolist())


def one_hot(b: Builder, indices: str, rank: int, length: Extent, kind: int) -> str:
    """0/1 of type `kind` and shape (*indices, length), made at run time; indices of `rank` axes, any integer type,
    negative ones counted from the end."""
    index = b.op("Cast", indices, to=TensorProto.INT64)
    count = pack(b, [length])
    index = b.where(b.op("Less", index, b.ints([0])), b.add(index, count), index)
    zero, one = b.const(np.array(0, np.int64)), b.const(np.array(1, np.int64))
    elements = b.op("Range", zero, b.op("Squeeze", count, b.ints([0])), one)
    return b.op("Cast", b.op("Equal", b.op("Unsqueeze", index, b.ints([rank])), elements), to=kind)


@rule("DepthToSpace")
def depth_to_space(b: Builder, n: Node, dy: str) -> Gradients:
    block = n.attr("blocksize")
    if n.attr("mode", "DCR") == "DCR":
        return [b.op("SpaceToDepth", dy, blocksize=block)]
    batch, channels, rows, columns = sizes(b, n.x)
    fine = b.shape(n.y)[1]
    if not isinstance(fine, int):
        raise n.refuse("its number of channels is not fixed")
    parts = reshape(b, dy, [batch, fine, rows, block, columns, block])
    return [reshape(b, b.op("Transpose", parts, perm=[0, 1, 3, 5, 2, 4]), [batch, channels, rows, columns])]


@rule("SpaceToDepth")
def space_to_depth(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.op("DepthToSpace", dy, blocksize=n.attr("blocksize"))]


@rule("Trilu")
def trilu(b: Builder, n: Node, dy: str) -> Gradients:
    inputs = [dy, *n.inputs[1:2]]
    return [b.op("Trilu", *inputs, upper=n.attr("upper", 1)), None]
