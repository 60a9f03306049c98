"""Rules of MaxPool and AveragePool, one axis at a time: no indices, no scatter, exact for any overlap."""

from __future__ import annotations

import numpy as np

from .build import Builder, Dim
from .rules import Gradients, Node, rule
from .shapes import shape_tensor, size
from .windows import Window, check_counts, fill_ends, spread, take, windows


@rule("MaxPool")
def max_pool(b: Builder, n: Node, dy: str) -> Gradients:
    """A maximum over a box is a maximum along the last axis, then the one before, ...; undone in reverse.

    Of equal elements the first in scan order takes all, as PyTorch has it.
    """
    axes = windows(n, n.attr("kernel_shape"))
    check_counts(n, axes)
    rank = len(axes)
    stages = [n.x]
    for i in reversed(range(1, rank)):
        stages.append(_max_along(b, n, stages[-1], i, axes[i]))
    pooled = [*stages[1:], n.y]
    for i in range(rank):
        dy = _undo_max(b, n, dy, stages[rank - 1 - i], pooled[rank - 1 - i], (i, axes[i]))
    return [dy]


def _max_along(b: Builder, n: Node, x: str, i: int, w: Window) -> str:
    rank = len(n.attr("kernel_shape"))

    def only(value: int, default: int) -> list[int]:
        return [value if a == i else default for a in range(rank)]

    dilations = only(w.dilation, 1) if w.dilation > 1 else None
    return b.op(
        "MaxPool",
        x,
        kernel_shape=only(w.kernel, 1),
        strides=only(w.stride, 1),
        dilations=dilations,
        pads=only(w.before, 0) + only(w.after, 0),
        ceil_mode=n.attr("ceil_mode", 0) or None,
    )


def _undo_max(b: Builder, n: Node, dy: str, x: str, y: str, where: tuple[int, Window]) -> str:
    """Each window hands its gradient to the first element equal to its maximum; the rest passes to the next tap."""
    i, w = where
    axis = 2 + i
    count = size(b, n.y, axis)
    lowest = n.scalar(float(np.finfo(b.dtype(n.y)).min))
    padded = fill_ends(b, x, n.x, axis, w, count, lowest)
    parts, rest, zero = [], dy, n.scalar(0)
    for t in range(w.kernel - 1):
        hit = b.op("Equal", take(b, padded, axis, w, t, count), y)
        parts.append(b.where(hit, rest, zero))
        rest = b.where(hit, zero, rest)
    return spread(b, [*parts, rest], n.y, n.x, axis, w)


@rule("AveragePool")
def average_pool(b: Builder, n: Node, dy: str) -> Gradients:
    axes = windows(n, n.attr("kernel_shape"))
    check_counts(n, axes)
    dy = _divided(b, n, dy, axes)
    for i, w in enumerate(axes):
        dy = spread(b, [dy] * w.kernel, n.y, n.x, 2 + i, w)
    return [dy]


def _divided(b: Builder, n: Node, dy: str, axes: list[Window]) -> str:
    """dy over the number of elements that each window averaged."""
    include, ceil = n.attr("count_include_pad", 0), n.attr("ceil_mode", 0)
    plain = not ceil and (include or not any(w.before or w.after for w in axes))
    volume = float(np.prod([w.kernel for w in axes]))
    if plain:
        return b.mul(dy, n.scalar(1.0 / volume))
    counts = np.ones((1, 1))
    for i, w in enumerate(axes):
        length, count = b.shape(n.x)[2 + i], b.shape(n.y)[2 + i]
        if not isinstance(length, int) or not isinstance(count, int):
            return _divided_dynamic(b, n, dy, axes, volume)
        counts = counts[..., None] * _counts(length, count, w, bool(include))
    return b.mul(dy, n.array(1.0 / counts))


def _counts(length: int, count: int, w: Window, include: bool) -> np.ndarray:
    """Elements per window along one axis; with `include`, declared padding counts but what ceil_mode adds does not."""
    low, high = (-w.before, length + w.after) if include else (0, length)
    taps = np.arange(count)[:, None] * w.stride - w.before + np.arange(w.kernel)[None, :] * w.dilation
    return np.asarray(((taps >= low) & (taps < high)).sum(1))


def _divided_dynamic(b: Builder, n: Node, dy: str, axes: list[Window], volume: float) -> str:
    """Count by pooling a volume of ones: its mean with zero padding counted, times the window's volume."""
    if n.attr("ceil_mode", 0):
        dims: list[Dim] = list(b.shape(n.x)[2:])
        raise n.refuse(f"ceil_mode with dynamic sizes {dims}; export with fixed sizes or without ceil_mode")
    spatial = b.op("Slice", shape_tensor(b, n.x), b.ints([2]), b.ints([b.rank(n.x)]), b.ints([0]), b.ints([1]))
    ones = b.op("Expand", n.scalar(1), b.op("Concat", b.ints([1, 1]), spatial, axis=0))
    dilations = [w.dilation for w in axes]
    share = b.op(
        "AveragePool",
        ones,
        kernel_shape=[w.kernel for w in axes],
        strides=[w.stride for w in axes],
        pads=[w.before for w in axes] + [w.after for w in axes],
        count_include_pad=1,
        dilations=dilations if max(dilations) > 1 else None,
    )
    return b.div(dy, b.mul(share, n.scalar(volume)))
