"""Reshaping, joining, cutting and padding: elements move, values stay."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch.nn import functional

from .registry import Node, Tensor, axis_of, by_axis, op
from .windows import flat


@op("Reshape", "allowzero", host=(1,))
def reshape(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    sizes = shape.tolist()
    if not node.attr("allowzero", 0):
        sizes = [x.shape[i] if n == 0 else n for i, n in enumerate(sizes)]
    return x.reshape(sizes)


@op("Flatten", "axis")
def flatten(node: Node, x: Tensor) -> Tensor:
    axis = axis_of(node.attr("axis", 1), x.dim())
    return x.reshape(prod(x.shape[:axis]), -1) if x.numel() else x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))


@op("Squeeze", host=(1,))
def squeeze(node: Node, x: Tensor, axes: Tensor = None) -> Tensor:
    return x.squeeze() if axes is None else x.squeeze(axes.tolist())


@op("Unsqueeze", host=(1,))
def unsqueeze(node: Node, x: Tensor, axes: Tensor) -> Tensor:
    chosen = axes.reshape(-1).tolist()
    for axis in sorted(axis_of(a, x.dim() + len(chosen)) for a in chosen):
        x = x.unsqueeze(axis)
    return x


@op("Transpose", "perm")
def transpose(node: Node, x: Tensor) -> Tensor:
    return x.permute(node.attr("perm") or list(range(x.dim()))[::-1])


@op("Concat", "axis")
def concat(node: Node, *inputs: Tensor) -> Tensor:
    return torch.cat(inputs, node.attr("axis"))


@op("Split", "axis num_outputs", host=(1,))
def split(node: Node, x: Tensor, sizes: Tensor = None) -> Any:
    axis = axis_of(node.attr("axis", 0), x.dim())
    if sizes is not None:
        return torch.split(x, sizes.tolist(), axis)
    count, total = node.attr("num_outputs", node.outputs), x.shape[axis]
    each = -(-total // count)
    return torch.split(x, [min(each, max(0, total - i * each)) for i in range(count)], axis)


@op("Slice", host=(1, 2, 3, 4))
def slice_(node: Node, x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor = None, steps: Tensor = None) -> Tensor:
    first, last = starts.tolist(), ends.tolist()
    along = list(range(len(first))) if axes is None else [axis_of(a, x.dim()) for a in axes.tolist()]
    by = [1] * len(first) if steps is None else steps.tolist()
    for axis, start, stop, step in zip(along, first, last, by, strict=True):
        wanted = range(*slice(start, stop, step).indices(x.shape[axis]))
        if step > 0:
            x = x[(slice(None),) * axis + (slice(wanted.start, max(wanted.start, wanted.stop), step),)]
        else:
            x = x.index_select(axis, torch.tensor(list(wanted), dtype=torch.int64, device=x.device))
    return x


@op("Expand", host=(1,))
def expand(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(torch.broadcast_shapes(x.shape, tuple(shape.tolist())))


@op("Tile", host=(1,))
def tile(node: Node, x: Tensor, repeats: Tensor) -> Tensor:
    return x.repeat(repeats.tolist()) if x.dim() else x


@op("Pad", "mode", host=(1, 2, 3))
def pad(node: Node, x: Tensor, pads: Tensor, value: Tensor = None, axes: Tensor = None) -> Tensor:
    amounts = pads.tolist()
    half = len(amounts) // 2
    along = list(range(half)) if axes is None else [axis_of(a, x.dim()) for a in axes.tolist()]
    before, after = [0] * x.dim(), [0] * x.dim()
    for i, axis in enumerate(along):
        before[axis], after[axis] = amounts[i], amounts[half + i]
    mode = node.attr("mode", "constant")
    if mode == "constant":
        fill = 0 if value is None else value.item()
        if x.dtype == torch.bool:
            return functional.pad(x.byte(), flat(before, after), value=int(fill)).bool()
        return functional.pad(x, flat(before, after), value=fill)
    for axis in range(x.dim()):
        if before[axis] or after[axis]:
            places = torch.arange(-before[axis], x.shape[axis] + after[axis], device=x.device)
            x = x.index_select(axis, _folded(node, places, x.shape[axis], mode))
    return x


def _folded(node: Node, places: Tensor, size: int, mode: str) -> Tensor:
    """Positions outside 0..size-1 brought inside as the padding mode says."""
    if mode == "edge":
        return places.clamp(0, size - 1)
    if mode == "wrap":
        return places % size
    if mode != "reflect":
        raise node.refuse(f"mode: expected constant, edge, reflect or wrap, found {mode!r}")
    period = max(1, 2 * (size - 1))
    turned = places % period
    return torch.where(turned < size, turned, period - turned)


@op("DepthToSpace", "blocksize mode")
def depth_to_space(node: Node, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    b = node.attr("blocksize")
    if node.attr("mode", "DCR") == "DCR":
        parts = x.reshape(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, c // b**2, b, b, h, w).permute(0, 1, 4, 2, 5, 3)
    return parts.reshape(n, c // b**2, h * b, w * b)


@op("SpaceToDepth", "blocksize")
def space_to_depth(node: Node, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    b = node.attr("blocksize")
    parts = x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(n, c * b * b, h // b, w // b)


@op("Trilu", "upper", host=(1,))
def trilu(node: Node, x: Tensor, k: Tensor = None) -> Tensor:
    diagonal = 0 if k is None else int(k)
    return torch.triu(x, diagonal) if node.attr("upper", 1) else torch.tril(x, diagonal)


@op("CenterCropPad", "axes", host=(1,))
def center_crop_pad(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    axes = [axis_of(a, x.dim()) for a in node.attr("axes") or range(x.dim())]
    for axis, wanted in zip(axes, shape.tolist(), strict=True):
        size = x.shape[axis]
        if wanted < size:
            x = x.narrow(axis, (size - wanted) // 2, wanted)
        elif wanted > size:
            before, after = [0] * x.dim(), [0] * x.dim()
            before[axis] = (wanted - size) // 2
            after[axis] = wanted - size - before[axis]
            x = functional.pad(x, flat(before, after))
    return x


@op("ReverseSequence", "batch_axis time_axis")
def reverse_sequence(node: Node, x: Tensor, lengths: Tensor) -> Tensor:
    batch, time = node.attr("batch_axis", 1), node.attr("time_axis", 0)
    places = by_axis(torch.arange(x.shape[time], device=x.device), time, x.dim())
    ends = by_axis(lengths, batch, x.dim())
    index = torch.where(places < ends, ends - 1 - places, places)
    return torch.gather(x, time, index.expand(x.shape))
