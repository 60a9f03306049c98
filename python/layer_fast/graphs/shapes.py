"""Sizes that may be known now or only at run time, and the data movement built on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .build import END, Builder, Dim, Extent


def size(b: Builder, x: str, axis: int) -> Extent:
    """One dimension of a forward tensor: a number, or the name of an int64 tensor of one element."""
    return dim_of(b, x, b.shape(x), axis)


def dim_of(b: Builder, x: str, dims: Sequence[Dim], axis: int) -> Extent:
    """As `size`, for a tensor whose dimensions are stated."""
    dim = dims[axis]
    return dim if isinstance(dim, int) else b.cached("Gather", b.cached("Shape", x), b.ints([axis]))


def sizes(b: Builder, x: str) -> list[Extent]:
    return [size(b, x, axis) for axis in range(b.rank(x))]


def pack(b: Builder, extents: Sequence[Extent]) -> str:
    """A 1-D int64 tensor from extents: a constant where all are known."""
    if all(isinstance(e, int) for e in extents):
        return b.ints([int(e) for e in extents])
    return b.op("Concat", *[b.ints([e]) if isinstance(e, int) else e for e in extents], axis=0)


def _name(b: Builder, e: Extent) -> str:
    return b.ints([e]) if isinstance(e, int) else e


def plus(b: Builder, x: Extent, y: Extent) -> Extent:
    if isinstance(x, int) and isinstance(y, int):
        return x + y
    if x == 0 or y == 0:
        return y if x == 0 else x
    return b.op("Add", _name(b, x), _name(b, y))


def minus(b: Builder, x: Extent, y: Extent) -> Extent:
    if isinstance(x, int) and isinstance(y, int):
        return x - y
    return x if y == 0 else b.op("Sub", _name(b, x), _name(b, y))


def times(b: Builder, x: Extent, y: Extent) -> Extent:
    if isinstance(x, int) and isinstance(y, int):
        return x * y
    if x == 1 or y == 1:
        return y if x == 1 else x
    return b.op("Mul", _name(b, x), _name(b, y))


def cut(b: Builder, x: str, axis: int, start: Extent = 0, end: Extent = END, step: int = 1) -> str:
    """x[start:end:step] along one axis."""
    if (start, end, step) == (0, END, 1):
        return x
    return b.op("Slice", x, _name(b, start), _name(b, end), b.ints([axis]), b.ints([step]))


def flip(b: Builder, x: str, axis: int) -> str:
    return b.op("Slice", x, b.ints([-1]), b.ints([-END]), b.ints([axis]), b.ints([-1]))


def pad(
    b: Builder,
    x: str,
    rank: int,
    amounts: Mapping[int, tuple[Extent, Extent]],
    value: str | None = None,
    mode: str = "constant",
) -> str:
    """Pad by (before, after) on the named axes, none of them negative; `value` is a scalar constant's name."""
    before = [amounts.get(a, (0, 0))[0] for a in range(rank)]
    after = [amounts.get(a, (0, 0))[1] for a in range(rank)]
    if all(e == 0 for e in before + after):
        return x
    inputs = [x, pack(b, before + after)] + ([value] if value is not None else [])
    return b.op("Pad", *inputs, mode=mode)


def stuff(b: Builder, x: str, rank: int, axis: int, step: int, count: Extent) -> tuple[str, Extent]:
    """step - 1 zeros between the `count` neighbours on an axis; returns the tensor and its new length there."""
    wide = pad(b, b.op("Unsqueeze", x, b.ints([axis + 1])), rank + 1, {axis + 1: (0, step - 1)})
    shape = b.ints([0] * axis + [-1])
    if axis + 1 < rank:
        shape = b.op("Concat", shape, cut(b, b.op("Shape", wide), 0, axis + 2), axis=0)
    length = plus(b, times(b, minus(b, count, 1), step), 1)
    return cut(b, b.op("Reshape", wide, shape), axis, 0, length), length


def reshape(b: Builder, x: str, extents: Sequence[Extent]) -> str:
    return b.op("Reshape", x, pack(b, extents))


def reshape_like(b: Builder, x: str, ref: str) -> str:
    """x in the shape of a forward tensor; one unknown dimension is left to Reshape itself."""
    dims = b.shape(ref)
    known = [d if isinstance(d, int) else -1 for d in dims]
    if known.count(-1) <= 1 and 0 not in known:
        return b.op("Reshape", x, b.ints(known))
    return b.op("Reshape", x, shape_tensor(b, ref))


def shape_tensor(b: Builder, ref: str) -> str:
    dims = b.shape(ref)
    if all(isinstance(d, int) for d in dims):
        return b.ints([int(d) for d in dims])  # type: ignore[arg-type]
    return b.cached("Shape", ref)


def expand_like(b: Builder, x: str, ref: str) -> str:
    return b.op("Expand", x, shape_tensor(b, ref))


def zeros_like(b: Builder, ref: str) -> str:
    return expand_like(b, b.const(np.zeros((), b.dtype(ref))), ref)


def unbroadcast(b: Builder, gradient: str, shape: Sequence[Dim], target: str) -> str:
    """Sum a gradient of the given (broadcast) shape down to the shape of a forward tensor.

    Where two symbols may or may not be the same size, no sum is made and a Reshape to the target's shape follows:
    it costs nothing where they are equal and fails at run time, loudly, where they are not.
    """
    dims = b.shape(target)
    lead = len(shape) - len(dims)
    inner = [i + lead for i, d in enumerate(dims) if d == 1 and shape[i + lead] != 1]
    unsure = any(not isinstance(d, int) and shape[i + lead] != d for i, d in enumerate(dims))
    unsure = unsure or any(d is None for d in dims)
    if inner:
        gradient = b.reduce("Sum", gradient, inner, keepdims=True)
    if lead:
        gradient = b.reduce("Sum", gradient, list(range(lead)), keepdims=False)
    return b.op("Reshape", gradient, b.cached("Shape", target)) if unsure else gradient


def spatial_count(b: Builder, x: str, axes: Sequence[int], like: str) -> str:
    """Number of elements along the axes as a float tensor (scalar where known, else shape (1,))."""
    dims = [b.shape(x)[a] for a in axes]
    if all(isinstance(d, int) for d in dims):
        return b.const(np.array(np.prod([int(d) for d in dims]), b.dtype(like)))  # type: ignore[arg-type]
    count: Extent = 1
    for a in axes:
        count = times(b, count, size(b, x, a))
    return b.op("Cast", _name(b, count), to=b.elem_type(like))


def log_exp(b: Builder, kind: str, x: str, axis: int) -> str:
    """log(Reduce{kind}(exp(x))) along the axis, which stays as 1.

    Any shift near the maximum is as safe and gives the same value. Ceil has no gradient, so none is sent through the
    maximum, where it would cancel; LogSoftmax and ReduceLogSumExp are taken apart by some engines without a shift.
    """
    shift = b.op("Ceil", b.reduce("Max", x, [axis]))
    return b.add(b.op("Log", b.reduce(kind, b.op("Exp", b.sub(x, shift)), [axis])), shift)
