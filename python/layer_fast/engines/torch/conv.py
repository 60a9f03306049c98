"""Convolutions of one to three spatial axes."""

from __future__ import annotations

import torch
from torch.nn import functional

from .registry import Node, Tensor, by_axis, op
from .windows import CONV, Window, flat, window

_TRANSPOSED = {1: torch.conv_transpose1d, 2: torch.conv_transpose2d, 3: torch.conv_transpose3d}


@op("Conv", "auto_pad dilations group kernel_shape pads strides")
def conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor = None) -> Tensor:
    rank = _rank(node, x)
    w = window(node, x, list(weight.shape[2:]))
    padding = w.before
    if not w.symmetric:
        x, padding = functional.pad(x, w.flat_padding()), [0] * rank
    group = node.attr("group", 1)
    if _slow_half(x):
        full = None if bias is None else bias.float()
        y = CONV[rank](x.float(), weight.float(), full, w.strides, padding, w.dilations, group)
        return y.to(x.dtype)
    return CONV[rank](x, weight, bias, w.strides, padding, w.dilations, group)


@op("ConvTranspose", "auto_pad dilations group kernel_shape output_padding output_shape pads strides")
def conv_transpose(node: Node, x: Tensor, weight: Tensor, bias: Tensor = None) -> Tensor:
    rank = _rank(node, x)
    w = window(node, x, list(weight.shape[2:]))
    extra = list(node.attr("output_padding") or [0] * rank)
    _fit_output(node, x, w, extra)
    if _slow_half(x):
        half, x, weight = x.dtype, x.float(), weight.float()
        bias = None if bias is None else bias.float()
        return _transposed(node, x, weight, bias, w, extra).to(half)
    return _transposed(node, x, weight, bias, w, extra)


def _transposed(node: Node, x: Tensor, weight: Tensor, bias: Tensor, w: Window, extra: list[int]) -> Tensor:
    rank, group = len(w.kernel), node.attr("group", 1)
    added = [b - a + e for b, a, e in zip(w.before, w.after, extra, strict=True)]
    limits = [max(s, d) for s, d in zip(w.strides, w.dilations, strict=True)]
    if all(0 <= n < limit for n, limit in zip(added, limits, strict=True)):
        return _TRANSPOSED[rank](x, weight, bias, w.strides, w.before, added, group, w.dilations)
    # Paddings that torch cannot say: the whole result, cut or filled with zeros.
    y = _TRANSPOSED[rank](x, weight, None, w.strides, 0, 0, group, w.dilations)
    ends = [e - a for e, a in zip(extra, w.after, strict=True)]
    y = functional.pad(y, flat([-b for b in w.before], ends))
    return y if bias is None else y + by_axis(bias, 1, y.dim())


def _fit_output(node: Node, x: Tensor, w: Window, extra: list[int]) -> None:
    """Where output_shape or auto_pad says how large the output is, set the padding that makes it so."""
    auto = node.attr("auto_pad", "NOTSET")
    wanted = node.attr("output_shape")
    if wanted is None and auto not in ("SAME_UPPER", "SAME_LOWER"):
        return
    for axis, stride in enumerate(w.strides):
        size = x.shape[2 + axis]
        target = wanted[-len(w.kernel) :][axis] if wanted is not None else size * stride
        total = stride * (size - 1) + extra[axis] + w.reach(axis) - target
        if total < 0:  # the output is longer than the windows reach
            extra[axis], total = extra[axis] - total, 0
        small, large = total // 2, total - total // 2
        w.before[axis], w.after[axis] = (small, large) if auto == "SAME_UPPER" else (large, small)


def _rank(node: Node, x: Tensor) -> int:
    rank = int(x.dim()) - 2
    if rank not in CONV:
        raise node.refuse(f"expected 1 to 3 spatial axes, found {rank}")
    return rank


def _slow_half(x: Tensor) -> bool:
    """fp16 on a CPU: computed in float32 and rounded, as ONNX Runtime does."""
    return bool(x.dtype == torch.float16 and x.device.type == "cpu")
