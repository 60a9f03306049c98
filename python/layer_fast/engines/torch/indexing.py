"""Shapes as tensors, tensors from shapes, gathering and scattering."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .registry import Node, Tensor, axis_of, op


@op("Constant", "value value_float value_floats value_int value_ints")
def constant(node: Node) -> Tensor:
    (value,) = node.attributes.values()
    if not isinstance(value, torch.Tensor):
        whole = isinstance(value, int) or (isinstance(value, list) and all(isinstance(v, int) for v in value))
        value = torch.tensor(value, dtype=torch.int64 if whole else torch.float32)
    return value.to(node.real(value.dtype))


@op("Shape", "start end")
def shape(node: Node, x: Tensor) -> Tensor:
    return torch.tensor(list(x.shape)[node.attr("start", 0) : node.attr("end", None)], dtype=torch.int64)


@op("Size")
def size(node: Node, x: Tensor) -> Tensor:
    return torch.tensor(x.numel(), dtype=torch.int64)


@op("ConstantOfShape", "value", host=(0,))
def constant_of_shape(node: Node, sizes: Tensor) -> Tensor:
    filler = node.attr("value", torch.zeros(1))
    kind = node.real(filler.dtype)
    return torch.full(sizes.tolist(), filler.item(), dtype=kind, device=node.device if kind.is_floating_point else None)


@op("Range", host=(0, 1, 2))
def range_(node: Node, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    first, last, step = start.item(), limit.item(), delta.item()
    count = max(0, int(np.ceil((last - first) / step)))
    return start + torch.arange(count, dtype=start.dtype) * delta


@op("EyeLike", "dtype k")
def eye_like(node: Node, x: Tensor) -> Tensor:
    kind = node.kind(node.attr("dtype")) if node.attr("dtype") else x.dtype
    offset = node.attr("k", 0)
    rows, columns = (torch.arange(n, device=x.device) for n in x.shape)
    return (rows[:, None] + offset == columns[None, :]).to(kind)


@op("OneHot", "axis", host=(1,))
def one_hot(node: Node, indices: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    count = int(depth)
    axis = axis_of(node.attr("axis", -1), indices.dim() + 1)
    places = torch.arange(count, device=indices.device)
    hot = torch.remainder(indices.long(), count).unsqueeze(-1) == places
    inside = (indices >= -count) & (indices < count)
    return torch.where(hot & inside.unsqueeze(-1), values[1], values[0]).movedim(-1, axis)


@op("NonZero")
def non_zero(node: Node, x: Tensor) -> Tensor:
    return torch.nonzero(x).T.contiguous() if x.dim() else torch.zeros((0, int(x != 0)), dtype=torch.int64)


@op("Compress", "axis")
def compress(node: Node, x: Tensor, condition: Tensor) -> Tensor:
    axis = node.attr("axis")
    if axis is None:
        x, axis = x.reshape(-1), 0
    return x.index_select(axis, torch.nonzero(condition).reshape(-1))


@op("Gather", "axis")
def gather(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    axis = axis_of(node.attr("axis", 0), x.dim())
    flat = _wrapped(indices, x.shape[axis]).reshape(-1)
    return x.index_select(axis, flat).reshape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


@op("GatherElements", "axis")
def gather_elements(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    axis = axis_of(node.attr("axis", 0), x.dim())
    return torch.gather(x, axis, _wrapped(indices, x.shape[axis]))


@op("GatherND", "batch_dims")
def gather_nd(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    shared = node.attr("batch_dims", 0)
    depth = indices.shape[-1]
    picked = [_wrapped(indices[..., i], x.shape[shared + i]) for i in range(depth)]
    grid = []
    for axis in range(shared):
        places = torch.arange(x.shape[axis], device=x.device)
        grid.append(places.reshape([-1 if i == axis else 1 for i in range(indices.dim() - 1)]))
    return x[(*grid, *picked)]


_REDUCE = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@op("ScatterElements", "axis reduction")
def scatter_elements(node: Node, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    axis = axis_of(node.attr("axis", 0), x.dim())
    places, how = _wrapped(indices, x.shape[axis]), node.attr("reduction", "none")
    if how == "none":
        return x.scatter(axis, places, updates)
    return x.scatter_reduce(axis, places, updates, _REDUCE[how])


@op("ScatterND", "reduction")
def scatter_nd(node: Node, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    depth, how = indices.shape[-1], node.attr("reduction", "none")
    places = torch.zeros(indices.shape[:-1], dtype=torch.int64, device=x.device)
    for i in range(depth):
        places = places * x.shape[i] + _wrapped(indices[..., i], x.shape[i])
    rows = x.reshape(-1, *x.shape[depth:])
    flat = places.reshape(-1)
    new = updates.reshape(len(flat), *x.shape[depth:])
    if how == "none":
        return rows.index_copy(0, flat, new).reshape(x.shape)
    index = flat.reshape(-1, *[1] * (new.dim() - 1)).expand(new.shape)
    return rows.scatter_reduce(0, index, new, _REDUCE[how]).reshape(x.shape)


@op("Unique", "axis sorted")
def unique(node: Node, x: Tensor) -> Any:
    if node.attr("axis") is not None or not node.attr("sorted", 1):
        raise node.refuse("only sorted unique elements of the whole tensor are supported")
    values, inverse, counts = torch.unique(x.reshape(-1), return_inverse=True, return_counts=True)
    first = torch.full_like(values, x.numel(), dtype=torch.int64)
    first = first.scatter_reduce(0, inverse, torch.arange(x.numel(), device=x.device), "amin")
    return values, first, inverse, counts


def _wrapped(indices: Tensor, count: int) -> Tensor:
    """int64 indices, negative ones counted from the end."""
    indices = indices.long()
    return torch.where(indices < 0, indices + count, indices)
