"""Rule of Slice: zeros around (and between) the elements that were taken."""

from __future__ import annotations

from onnx import TensorProto

from .build import Builder, Extent
from .rules import Gradients, Node, rule
from .shapes import cut, flip, minus, pack, pad, plus, size, stuff


@rule("Slice")
def slice_rule(b: Builder, n: Node, dy: str) -> Gradients:
    starts = n.value(1)
    ends = n.value(2)
    count = len(starts) if starts is not None else b.shape(n.inputs[1])[0]
    if not isinstance(count, int):
        raise n.refuse("number of sliced axes is not fixed")
    axes = n.constant(3, "axes").tolist() if n.has(3) else list(range(count))
    steps = n.constant(4, "steps").tolist() if n.has(4) else [1] * count
    rank = b.rank(n.x)
    for k, (axis, step) in enumerate(zip(axes, steps, strict=True)):
        start = None if starts is None else int(starts[k])
        end = None if ends is None else int(ends[k])
        dy = _slice_axis(b, n, dy, axis % rank, k, (start, end, step))
    return [dy]


def _slice_axis(b: Builder, n: Node, dy: str, axis: int, k: int, bounds: tuple[int | None, int | None, int]) -> str:
    """Undo one axis of a Slice: reverse, spread by the step, and zeros before and after."""
    start, end, step = bounds
    length = b.shape(n.x)[axis]
    if not isinstance(length, int) or start is None or end is None:
        return _open_axis(b, n, dy, axis, k, bounds)
    taken = range(length)[start:end:step]
    dy = flip(b, dy, axis) if step < 0 else dy
    first, last = sorted((taken[0], taken[-1]))
    if abs(step) > 1:
        dy, _ = stuff(b, dy, b.rank(n.x), axis, abs(step), len(taken))
    return pad(b, dy, b.rank(n.x), {axis: (first, length - 1 - last)})


def _open_axis(b: Builder, n: Node, dy: str, axis: int, k: int, bounds: tuple[int | None, int | None, int]) -> str:
    """The same where the size of the axis or a bound is known only at run time."""
    start, end, step = bounds
    length, count = size(b, n.x, axis), size(b, n.y, axis)
    if step < 0:
        if (start, step) != (-1, -1) or end is None or end > -(2**30):
            raise n.refuse(f"negative step on axis {axis} of unknown size")
        return flip(b, dy, axis)
    if step > 1:
        dy, count = stuff(b, dy, b.rank(n.x), axis, step, count)
    before = _computed_start(b, n, k, length) if start is None else plus(b, length, start) if start < 0 else start
    after = minus(b, minus(b, length, count), before)
    if end is not None and end >= 2**30 and step == 1:
        before, after = before if start is not None and start >= 0 else minus(b, length, count), 0
    elif end is not None and end < 0 and step == 1:
        after = -end
    return pad(b, dy, b.rank(n.x), {axis: (before, after)})


def _computed_start(b: Builder, n: Node, k: int, length: Extent) -> Extent:
    start = b.op("Cast", cut(b, n.inputs[1], 0, k, k + 1), to=TensorProto.INT64)
    wrapped = b.op("Add", start, pack(b, [length]))
    return b.where(b.op("Less", start, b.ints([0])), wrapped, start)
