"""Rule of Pad: cut the padding off; edge, reflect and wrap hand their part back to where it came from."""

from __future__ import annotations

from onnx import TensorProto

from .build import Builder
from .rules import Gradients, Node, rule
from .shapes import cut, flip, pad


@rule("Pad")
def pad_rule(b: Builder, n: Node, dy: str) -> Gradients:
    mode, rank = n.attr("mode", "constant"), b.rank(n.x)
    if n.value(1) is None and mode == "constant" and not n.has(3):
        return [_crop_computed(b, n, dy, rank)]
    amounts = n.constant(1, "pads").tolist()
    axes = [a % rank for a in n.constant(3, "axes").tolist()] if n.has(3) else list(range(rank))
    for k, axis in enumerate(axes):
        before, after = amounts[k], amounts[k + len(axes)]
        if mode == "constant" or (before <= 0 and after <= 0):
            dy = _crop(b, dy, axis, max(before, 0), max(after, 0))
            dy = pad(b, dy, rank, {axis: (max(-before, 0), max(-after, 0))})
        elif before < 0 or after < 0:
            raise n.refuse(f"mode {mode} with padding and cropping on the same axis {axis}")
        else:
            dy = _FOLDS[mode](b, n, dy, axis, before, after)
    return [dy]


def _crop_computed(b: Builder, n: Node, dy: str, rank: int) -> str:
    """Amounts known only at run time; a negative one makes the Reshape fail."""
    before = cut(b, b.op("Cast", n.inputs[1], to=TensorProto.INT64), 0, 0, rank)
    after = b.add(before, b.cached("Shape", n.x))
    inside = b.op("Slice", dy, before, after, b.ints(list(range(rank))))
    return b.op("Reshape", inside, b.cached("Shape", n.x))


def _crop(b: Builder, x: str, axis: int, before: int, after: int) -> str:
    return cut(b, x, axis, before, -after) if after else cut(b, x, axis, before)


def _fold_edge(b: Builder, n: Node, dy: str, axis: int, before: int, after: int) -> str:
    if b.shape(n.x)[axis] == 1:
        return b.reduce("Sum", dy, [axis])
    first = b.reduce("Sum", cut(b, dy, axis, 0, before + 1), [axis])
    last = b.reduce("Sum", cut(b, dy, axis, -(after + 1)), [axis])
    return b.op("Concat", first, cut(b, dy, axis, before + 1, -(after + 1)), last, axis=axis)


def _add_front(b: Builder, n: Node, x: str, axis: int, part: str, skip: int, length: int) -> str:
    """Add `part` (of this length) to x[skip : skip + length]."""
    part = pad(b, part, b.rank(n.x), {axis: (skip, 0)})
    head = b.add(cut(b, x, axis, 0, skip + length), part)
    if b.shape(n.x)[axis] == skip + length:
        return head
    return b.op("Concat", head, cut(b, x, axis, skip + length), axis=axis)


def _add_back(b: Builder, n: Node, x: str, axis: int, part: str, skip: int, length: int) -> str:
    """Add `part` (of this length) so that `skip` elements of x stand behind it."""
    part = pad(b, part, b.rank(n.x), {axis: (0, skip)})
    tail = b.add(cut(b, x, axis, -(skip + length)), part)
    if b.shape(n.x)[axis] == skip + length:
        return tail
    return b.op("Concat", cut(b, x, axis, 0, -(skip + length)), tail, axis=axis)


def _fold_reflect(b: Builder, n: Node, dy: str, axis: int, before: int, after: int) -> str:
    total = _crop(b, dy, axis, before, after)
    if before:
        total = _add_front(b, n, total, axis, flip(b, cut(b, dy, axis, 0, before), axis), 1, before)
    if after:
        total = _add_back(b, n, total, axis, flip(b, cut(b, dy, axis, -after), axis), 1, after)
    return total


def _fold_wrap(b: Builder, n: Node, dy: str, axis: int, before: int, after: int) -> str:
    total = _crop(b, dy, axis, before, after)
    if before:
        total = _add_back(b, n, total, axis, cut(b, dy, axis, 0, before), 0, before)
    if after:
        total = _add_front(b, n, total, axis, cut(b, dy, axis, -after), 0, after)
    return total


_FOLDS = {"edge": _fold_edge, "reflect": _fold_reflect, "wrap": _fold_wrap}
