"""Rules of reductions along axes, running sums and the softmax family."""

from __future__ import annotations

import numpy as np

from .build import Builder
from .rules import Gradients, Node, rule
from .shapes import expand_like, spatial_count


def _axes(b: Builder, n: Node) -> list[int]:
    """Reduced axes, counted from the front; none named means all, unless noop_with_empty_axes says none."""
    rank = b.rank(n.x)
    axes = n.attr("axes")
    if axes is None and n.has(1):
        axes = n.constant(1, "axes").tolist()
    if not axes:
        return [] if n.attr("noop_with_empty_axes", 0) else list(range(rank))
    return sorted(a % rank for a in axes)


def _kept(b: Builder, n: Node, tensor: str, axes: list[int]) -> str:
    """A tensor of the output's shape with the reduced axes put back as 1."""
    if n.attr("keepdims", 1) or not axes:
        return tensor
    return b.op("Unsqueeze", tensor, b.ints(axes))


def _reduced(b: Builder, n: Node, dy: str) -> tuple[list[int], str, str]:
    axes = _axes(b, n)
    return axes, _kept(b, n, n.y, axes), _kept(b, n, dy, axes)


@rule("ReduceSum")
def reduce_sum(b: Builder, n: Node, dy: str) -> Gradients:
    return [expand_like(b, _kept(b, n, dy, _axes(b, n)), n.x)]


@rule("ReduceMean")
def reduce_mean(b: Builder, n: Node, dy: str) -> Gradients:
    axes = _axes(b, n)
    dy = b.div(_kept(b, n, dy, axes), spatial_count(b, n.x, axes, n.x))
    return [expand_like(b, dy, n.x)]


@rule("ReduceMax", "ReduceMin")
def reduce_extreme(b: Builder, n: Node, dy: str) -> Gradients:
    """Equal elements share the gradient, as torch.amax has it."""
    axes, y, dy = _reduced(b, n, dy)
    if not axes:
        return [dy]
    hit = b.op("Equal", n.x, y)
    count = b.reduce("Sum", b.op("Cast", hit, to=b.elem_type(n.x)), axes)
    return [b.where(hit, b.div(dy, count), n.scalar(0))]


@rule("ReduceL1")
def reduce_l1(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.mul(_kept(b, n, dy, _axes(b, n)), b.op("Sign", n.x))]


@rule("ReduceL2")
def reduce_l2(b: Builder, n: Node, dy: str) -> Gradients:
    """0 where the norm is 0, as torch.linalg.vector_norm has it."""
    _, y, dy = _reduced(b, n, dy)
    return [b.mul(dy, b.where(b.op("Equal", y, n.scalar(0)), n.scalar(0), b.div(n.x, y)))]


@rule("ReduceSumSquare")
def reduce_sum_square(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.mul(_kept(b, n, dy, _axes(b, n)), b.mul(n.x, n.scalar(2)))]


@rule("ReduceLogSum")
def reduce_log_sum(b: Builder, n: Node, dy: str) -> Gradients:
    _, y, dy = _reduced(b, n, dy)
    return [expand_like(b, b.div(dy, b.op("Exp", y)), n.x)]


@rule("ReduceLogSumExp")
def reduce_log_sum_exp(b: Builder, n: Node, dy: str) -> Gradients:
    _, y, dy = _reduced(b, n, dy)
    return [b.mul(dy, b.op("Exp", b.sub(n.x, y)))]


@rule("ReduceProd")
def reduce_prod(b: Builder, n: Node, dy: str) -> Gradients:
    """y / x: infinite or NaN where a factor is 0."""
    _, y, dy = _reduced(b, n, dy)
    return [b.div(b.mul(dy, y), n.x)]


@rule("CumSum")
def cum_sum(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.op("CumSum", dy, n.inputs[1], exclusive=n.attr("exclusive", 0), reverse=1 - n.attr("reverse", 0)), None]


@rule("Softmax")
def softmax(b: Builder, n: Node, dy: str) -> Gradients:
    weighted = b.mul(dy, n.y)
    total = b.reduce("Sum", weighted, [n.attr("axis", -1) % b.rank(n.x)])
    return [b.sub(weighted, b.mul(n.y, total))]


@rule("LogSoftmax")
def log_softmax(b: Builder, n: Node, dy: str) -> Gradients:
    total = b.reduce("Sum", dy, [n.attr("axis", -1) % b.rank(n.x)])
    return [b.sub(dy, b.mul(b.op("Exp", n.y), total))]


@rule("GlobalAveragePool")
def global_average_pool(b: Builder, n: Node, dy: str) -> Gradients:
    dy = b.div(dy, spatial_count(b, n.x, range(2, b.rank(n.x)), n.x))
    return [expand_like(b, dy, n.x)]


@rule("GlobalMaxPool")
def global_max_pool(b: Builder, n: Node, dy: str) -> Gradients:
    """The first maximum in scan order takes all, as PyTorch's pooling has it; ArgMax finds it in the flat volume."""
    flat = b.op("Reshape", n.x, b.ints([0, 0, -1]))
    first = b.op("ArgMax", flat, axis=2, keepdims=1)
    count = b.op("Gather", b.op("Shape", flat), b.const(np.array(2, np.int64)))
    index = b.op("Range", b.const(np.array(0, np.int64)), count, b.const(np.array(1, np.int64)))
    part = b.where(b.op("Equal", index, first), b.op("Reshape", dy, b.ints([0, 0, 1])), n.scalar(0))
    return [b.op("Reshape", part, b.cached("Shape", n.x))]
