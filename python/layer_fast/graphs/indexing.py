"""Rules of operators that pick or replace single elements by index. No scatter that adds: engines differ there."""

from __future__ import annotations

import numpy as np

from .build import Builder
from .movement import one_hot, picked_back
from .rules import Gradients, Node, rule
from .shapes import reshape, reshape_like, size, sizes, zeros_like

LARGEST = 1 << 24
"""Elements of a constant 0/1 matrix (64 MiB in float32)."""


@rule("ScatterND")
def scatter_nd(b: Builder, n: Node, dy: str) -> Gradients:
    """Elements replaced (an assignment to a slice): the data loses its gradient there, the updates get it."""
    if n.attr("reduction", "none") != "none":
        raise n.refuse(f"reduction {n.attr('reduction')!r}, expected none")
    _, indices, updates = n.inputs
    data = b.op("ScatterND", dy, indices, zeros_like(b, updates)) if n.needs(0) else None
    return [data, None, b.op("GatherND", dy, indices) if n.needs(2) else None]


@rule("GatherND")
def gather_nd(b: Builder, n: Node, dy: str) -> Gradients:
    """Constant indices. A grid (every index changes along an axis of its own) goes axis by axis; else one matrix."""
    indices = n.constant(1, "indices")
    depth = indices.shape[-1]
    dims = [d for d in b.shape(n.x)[:depth] if isinstance(d, int)]
    if n.attr("batch_dims", 0) or len(dims) < depth:
        raise n.refuse("batch_dims and indexed axes of open size are not supported")
    indices = np.where(indices < 0, indices + np.array(dims), indices)
    vectors = _grid(indices)
    if vectors is not None:
        for axis, (vector, length) in enumerate(zip(vectors, dims, strict=True)):
            dy = picked_back(b, dy, _one_hot(n, vector, length), axis, b.rank(n.x))
        return [dy, None]
    flat, count = np.ravel_multi_index(tuple(np.moveaxis(indices, -1, 0)), dims).reshape(-1), int(np.prod(dims))
    rest = sizes(b, n.x)[depth:]
    back = picked_back(b, reshape(b, dy, [flat.size, *rest]), _one_hot(n, flat, count), 0, 1 + len(rest))
    return [reshape_like(b, back, n.x), None]


def _grid(indices: np.ndarray) -> list[np.ndarray] | None:
    """The index vectors of each axis, where indices[i, j, ...] = (first[i], second[j], ...)."""
    depth = indices.shape[-1]
    if indices.ndim != depth + 1:
        return None
    vectors = []
    for axis in range(depth):
        along = np.moveaxis(indices[..., axis], axis, 0).reshape(indices.shape[axis], -1)
        if along.size == 0 or (along != along[:, :1]).any():
            return None
        vectors.append(along[:, 0])
    return vectors


def _one_hot(n: Node, flat: np.ndarray, length: int) -> str:
    if flat.size * length > LARGEST:
        raise n.refuse(f"{flat.size} indices into {length} elements in no regular order are too many")
    return n.array(flat[:, None] == np.arange(length)[None, :])


@rule("GatherElements")
def gather_elements(b: Builder, n: Node, dy: str) -> Gradients:
    axis = n.attr("axis", 0) % b.rank(n.x)
    for i, (have, taken) in enumerate(zip(b.shape(n.x), b.shape(n.inputs[1]), strict=True)):
        if i != axis and have != taken:
            raise n.refuse(f"axis {i} of the indices has size {taken}, expected that of the data, {have}")
    return [_chosen_back(b, n, dy, n.inputs[1], axis), None]


@rule("TopK")
def top_k(b: Builder, n: Node, dy: str) -> Gradients:
    return [_chosen_back(b, n, dy, n.outputs[1], n.attr("axis", -1) % b.rank(n.x)), None]


def _chosen_back(b: Builder, n: Node, dy: str, indices: str, axis: int) -> str:
    """Each line along the axis has its own indices: a batch of 0/1 matrices (chosen, elements), made at run time."""
    rank = b.rank(n.x)
    order = [*(i for i in range(rank) if i != axis), axis]
    hot = one_hot(b, b.op("Transpose", indices, perm=order), rank, size(b, n.x, axis), b.elem_type(n.x))
    row = b.op("Unsqueeze", b.op("Transpose", dy, perm=order), b.ints([rank - 1]))
    back = b.op("MatMul", row, hot)
    return b.op("Transpose", b.op("Squeeze", back, b.ints([rank - 1])), perm=np.argsort(order).tolist())
