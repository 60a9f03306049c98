"""Rule of Resize: the transposed interpolation, axis by axis."""

from __future__ import annotations

import numpy as np

from .build import Builder, Extent
from .interpolation import Sampling, matrix
from .rules import Gradients, Node, rule
from .shapes import cut, pad, reshape, size, sizes


@rule("Resize")
def resize(b: Builder, n: Node, dy: str) -> Gradients:
    s = Sampling(
        mode=n.attr("mode", "nearest"),
        coordinates=n.attr("coordinate_transformation_mode", "half_pixel"),
        rounding=n.attr("nearest_mode", "round_prefer_floor"),
        cubic_a=n.attr("cubic_coeff_a", -0.75),
        exclude_outside=bool(n.attr("exclude_outside", 0)),
        antialias=bool(n.attr("antialias", 0)),
    )
    if s.coordinates not in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"):
        raise n.refuse(f"coordinate_transformation_mode {s.coordinates} is not supported")
    if n.attr("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise n.refuse("keep_aspect_ratio_policy is not supported")
    rank = b.rank(n.x)
    unsure = False
    for axis, scale in _scales(b, n).items():
        if scale is None and axis < 2:
            unsure = True  # nobody resizes batch or channels; the Reshape below fails at run time if somebody does
        elif scale != 1:
            dy = _undo_axis(b, n, dy, (axis, rank), s, scale)
    return [b.op("Reshape", dy, b.cached("Shape", n.x)) if unsure else dy]


def _scales(b: Builder, n: Node) -> dict[int, float | None]:
    """Scale of each resized axis where the file states one; None where the sizes decide."""
    rank = b.rank(n.x)
    axes = [a % rank for a in (n.attr("axes") or range(rank))]
    given = n.value(2) if n.has(2) else None
    if given is not None and given.size:
        return dict(zip(axes, (float(v) for v in given), strict=True))
    x, y = b.shape(n.x), b.shape(n.y)
    known = {a: y[a] / x[a] if isinstance(x[a], int) and isinstance(y[a], int) else None for a in axes}  # type: ignore[operator]
    return {a: v for a, v in known.items() if x[a] != y[a] or x[a] is None}


def _undo_axis(b: Builder, n: Node, dy: str, where: tuple[int, int], s: Sampling, scale: float | None) -> str:
    axis, rank = where
    length, count = b.shape(n.x)[axis], b.shape(n.y)[axis]
    plain = s.mode == "linear" and s.coordinates in ("half_pixel", "pytorch_half_pixel") and not s.antialias
    if scale == 2 and plain and not (s.coordinates == "pytorch_half_pixel" and count == 2):
        return _undo_linear_double(b, n, dy, axis, rank)
    if s.mode == "nearest" and s.coordinates == "asymmetric" and s.rounding == "floor" and scale in (2, 3, 4):
        return _undo_repeat(b, n, dy, axis, int(scale))
    if isinstance(length, int) and isinstance(count, int):
        m = matrix(s, length, count, scale if scale is not None else count / length)
        return _apply(b, n, dy, axis, n.array(m.T), length)
    return _apply(b, n, dy, axis, _matrix_at_run_time(b, n, axis, s, scale), size(b, n.x, axis))


def _undo_linear_double(b: Builder, n: Node, dy: str, axis: int, rank: int) -> str:
    """Factor 2, half-pixel: the edge repeated once, then weights 1 3 3 1 over 4 at every second place."""
    wide = pad(b, dy, rank, {axis: (1, 1)}, mode="edge")
    outer = b.add(cut(b, wide, axis, 0, -3, 2), cut(b, wide, axis, 3, step=2))
    inner = b.add(cut(b, wide, axis, 1, -2, 2), cut(b, wide, axis, 2, -1, 2))
    return b.add(b.mul(outer, n.scalar(0.25)), b.mul(inner, n.scalar(0.75)))


def _undo_repeat(b: Builder, n: Node, dy: str, axis: int, factor: int) -> str:
    parts = [cut(b, dy, axis, t, step=factor) for t in range(factor)]
    return b.op("Sum", *parts)


def _apply(b: Builder, n: Node, dy: str, axis: int, transposed: str, length: Extent) -> str:
    """transposed (length, count) times dy along the axis; axes before it have x's sizes, axes after it y's."""
    rank = b.rank(n.x)
    if axis == rank - 2:
        return b.op("MatMul", transposed, dy)
    if axis == rank - 1:
        order = [*range(rank - 2), rank - 1, rank - 2]
        return b.op("Transpose", b.op("MatMul", transposed, b.op("Transpose", dy, perm=order)), perm=order)
    before, after = sizes(b, n.x)[:axis], sizes(b, n.y)[axis + 1 :]
    rows: list[Extent] = [*before, size(b, n.y, axis), -1]
    flat = reshape(b, dy, rows)
    return reshape(b, b.op("MatMul", transposed, flat), [*before, length, *after])


def _matrix_at_run_time(b: Builder, n: Node, axis: int, s: Sampling, scale: float | None) -> str:
    """The transposed matrix (length, count) from sizes that are known only at run time."""
    if s.mode == "cubic" or s.antialias or s.coordinates == "half_pixel_symmetric":
        raise n.refuse(f"{s.mode} mode with dynamic sizes (axis {axis}); export with fixed sizes")
    if s.coordinates == "pytorch_half_pixel":
        raise n.refuse(f"pytorch_half_pixel with dynamic sizes (axis {axis}); export with half_pixel or fixed sizes")
    length, count = (_float_size(b, n, t, axis) for t in (n.x, n.y))
    f = n.scalar(scale) if scale is not None else b.div(count, length)
    i = _float_range(b, n, n.y, axis)
    if s.coordinates == "asymmetric":
        x = b.div(i, f)
    elif s.coordinates == "align_corners":
        last = b.op("Max", b.sub(count, n.scalar(1)), n.scalar(1))
        x = b.mul(i, b.div(b.sub(length, n.scalar(1)), last))
    else:
        x = b.sub(b.div(b.add(i, n.scalar(0.5)), f), n.scalar(0.5))
    if s.mode == "nearest":
        x = _rounded_at_run_time(b, n, x, s.rounding)
    x = b.op("Min", b.op("Max", x, n.scalar(0)), b.sub(length, n.scalar(1)))
    j = b.op("Unsqueeze", _float_range(b, n, n.x, axis), b.ints([1]))
    return b.op("Relu", b.sub(n.scalar(1), b.op("Abs", b.sub(j, x))))


def _rounded_at_run_time(b: Builder, n: Node, x: str, rounding: str) -> str:
    if rounding in ("floor", "ceil"):
        return b.op(rounding.capitalize(), x)
    if rounding == "round_prefer_floor":
        return b.op("Ceil", b.sub(x, n.scalar(0.5)))
    return b.op("Floor", b.add(x, n.scalar(0.5)))


def _float_size(b: Builder, n: Node, x: str, axis: int) -> str:
    extent = size(b, x, axis)
    name = b.ints([extent]) if isinstance(extent, int) else extent
    return b.op("Cast", name, to=b.elem_type(n.y))


def _float_range(b: Builder, n: Node, x: str, axis: int) -> str:
    extent = size(b, x, axis)
    name = b.ints([extent]) if isinstance(extent, int) else extent
    count = b.op("Squeeze", name, b.ints([0]))
    steps = b.op("Range", b.const(np.array(0, np.int64)), count, b.const(np.array(1, np.int64)))
    return b.op("Cast", steps, to=b.elem_type(n.y))
