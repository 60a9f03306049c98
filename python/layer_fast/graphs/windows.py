"""Sliding windows: their numbers per axis, and the adjoint of taking every s-th element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .build import Builder, Extent
from .rules import Node
from .shapes import cut, minus, pad, plus, size, times


@dataclass(frozen=True)
class Window:
    """A sliding window along one axis."""

    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def span(self) -> int:
        """Distance from the first to the last element of the window."""
        return (self.kernel - 1) * self.dilation


def windows(n: Node, kernel: Sequence[int]) -> list[Window]:
    """Windows of a Conv or pooling node, spatial axis by spatial axis, with auto_pad resolved."""
    rank = len(kernel)
    strides, dilations = n.attr("strides") or [1] * rank, n.attr("dilations") or [1] * rank
    pads = n.attr("pads") or [0] * (2 * rank)
    auto = n.attr("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        pads = _same_pads(n, kernel, strides, dilations, upper=auto == "SAME_UPPER")
    elif auto == "VALID":
        pads = [0] * (2 * rank)
    return [Window(kernel[i], strides[i], dilations[i], pads[i], pads[i + rank]) for i in range(rank)]


def _same_pads(
    n: Node, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], upper: bool
) -> list[int]:
    before, after = [], []
    for i, (k, s, d) in enumerate(zip(kernel, strides, dilations, strict=True)):
        length = n.builder.shape(n.x)[2 + i]
        if s == 1:
            total = (k - 1) * d
        elif isinstance(length, int):
            total = max((-(-length // s) - 1) * s + (k - 1) * d + 1 - length, 0)
        else:
            raise n.refuse(f"auto_pad with stride {s} on axis {2 + i} of unknown size")
        before.append(total // 2 if upper else total - total // 2)
        after.append(total - before[-1])
    return before + after


def check_counts(n: Node, axes: Sequence[Window]) -> None:
    """ceil_mode: a window that would start behind the input and its first padding is none (ONNX, PyTorch).

    Shape inference of the onnx package counts it; such a graph is refused, since its stated sizes are wrong.
    """
    b = n.builder
    for i, w in enumerate(axes):
        length, count = b.shape(n.x)[2 + i], b.shape(n.y)[2 + i]
        if isinstance(length, int) and isinstance(count, int) and (count - 1) * w.stride >= length + w.before:
            raise n.refuse(f"ceil_mode: its last window on axis {2 + i} lies outside the input; pad or crop the input")


def take(b: Builder, x: str, axis: int, w: Window, tap: int, count: Extent) -> str:
    """Element `tap` of each of the `count` windows of an already padded tensor."""
    start = tap * w.dilation
    end = plus(b, times(b, minus(b, count, 1), w.stride), start + 1)
    return cut(b, x, axis, start, end, w.stride)


def fill_ends(b: Builder, x: str, like: str, axis: int, w: Window, count: Extent, value: str) -> str:
    """x padded along the axis so that every window lies inside; `like` is a forward tensor of x's rank."""
    length = size(b, like, axis)
    after: Extent = w.after + w.stride - 1
    if isinstance(length, int) and isinstance(count, int):
        after = max(0, (count - 1) * w.stride + w.span + 1 - length - w.before)
    return pad(b, x, b.rank(like), {axis: (w.before, after)}, value)


def spread(b: Builder, parts: Sequence[str], y: str, x: str, axis: int, w: Window) -> str:
    """Adjoint of padding and `take`: sum of the parts, each element put back where its window took it.

    parts[t] belongs to tap t. Axes after `axis` have the sizes of y, the axis gets the size that it has in x.
    """
    rank = b.rank(x)
    longest = w.span // w.stride
    lanes: list[str | None] = [None] * w.stride
    for t, part in enumerate(parts):
        shift, lane = divmod(t * w.dilation, w.stride)
        part = pad(b, part, rank, {axis: (shift, longest - shift)})
        old = lanes[lane]
        lanes[lane] = part if old is None else b.add(old, part)
    total = lanes[0] if w.stride == 1 and lanes[0] else _weave(b, lanes, y, axis)
    count, length = size(b, y, axis), size(b, x, axis)
    if isinstance(count, int) and isinstance(length, int):
        have = (count + longest) * w.stride
        total = pad(b, total, rank, {axis: (0, max(0, w.before + length - have))})
        return total if have == length and not w.before else cut(b, total, axis, w.before, w.before + length)
    total = pad(b, total, rank, {axis: (0, w.stride - 1)})
    return cut(b, total, axis, w.before, plus(b, length, w.before))


def _weave(b: Builder, lanes: Sequence[str | None], y: str, axis: int) -> str:
    """Lane r goes to positions r, r + s, r + 2 s ... of the axis."""
    given = next(lane for lane in lanes if lane)
    empty = b.sub(given, given) if None in lanes else given
    wide = [b.op("Unsqueeze", lane or empty, b.ints([axis + 1])) for lane in lanes]
    joined = b.op("Concat", *wide, axis=axis + 1)
    tail = [size(b, y, a) for a in range(axis + 1, b.rank(y))]
    head = b.ints([0] * axis + [-1])
    if all(isinstance(e, int) for e in tail):
        return b.op("Reshape", joined, b.ints([0] * axis + [-1] + [int(e) for e in tail]))
    names = [b.ints([e]) if isinstance(e, int) else e for e in tail]
    return b.op("Reshape", joined, b.op("Concat", head, *names, axis=0))
