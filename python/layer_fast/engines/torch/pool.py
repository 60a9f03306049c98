"""Pools: maxima, means and norms of windows, and of whole maps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional

from .registry import Node, Tensor, op
from .windows import CONV, Window, window, with_ceil

_POOL = "auto_pad ceil_mode dilations kernel_shape pads strides"
_MAX = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}


@op("MaxPool", _POOL + " storage_order")
def max_pool(node: Node, x: Tensor) -> Any:
    if node.outputs > 1:
        raise node.refuse("its second output, the indices, is not supported")
    w = _window(node, x)
    kind = x.dtype
    if not kind.is_floating_point:
        x = x.float()  # 8-bit integers, exact
    padding: list[int] = [0] * len(w.kernel)
    if w.symmetric and all(2 * p <= k for p, k in zip(w.before, w.kernel, strict=True)):
        padding = w.before
    else:
        x = functional.pad(x, w.flat_padding(), value=float("-inf"))
    return _MAX[len(w.kernel)](x, w.kernel, w.strides, padding, w.dilations).to(kind)


@op("AveragePool", _POOL + " count_include_pad")
def average_pool(node: Node, x: Tensor) -> Tensor:
    plain = window(node, x, list(node.attr("kernel_shape")))
    w = _window(node, x)
    ones = torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype, device=x.device)
    if node.attr("count_include_pad", 0):
        ones = functional.pad(ones, plain.flat_padding(), value=1.0)
        extra = [a - p for a, p in zip(w.after, plain.after, strict=True)]
        counts = _sums(ones, replace(w, before=[0] * len(extra), after=extra))
    else:
        counts = _sums(ones, w)
    return _sums(x, w) / counts


@op("LpPool", _POOL + " p")
def lp_pool(node: Node, x: Tensor) -> Tensor:
    p = node.attr("p", 2)
    return torch.pow(_sums(torch.pow(torch.abs(x), p), _window(node, x)), 1.0 / p)


@op("GlobalAveragePool")
def global_average_pool(node: Node, x: Tensor) -> Tensor:
    return x.mean(list(range(2, x.dim())), keepdim=True)


@op("GlobalMaxPool")
def global_max_pool(node: Node, x: Tensor) -> Tensor:
    return x.amax(list(range(2, x.dim())), keepdim=True)


@op("GlobalLpPool", "p")
def global_lp_pool(node: Node, x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, node.attr("p", 2), list(range(2, x.dim())), keepdim=True)


def _window(node: Node, x: Tensor) -> Window:
    kernel = list(node.attr("kernel_shape"))
    if len(kernel) not in _MAX:
        raise node.refuse(f"expected 1 to 3 spatial axes, found {len(kernel)}")
    found = window(node, x, kernel)
    return with_ceil(found, x) if node.attr("ceil_mode", 0) else found


def _sums(x: Tensor, w: Window) -> Tensor:
    """Sum of every window, padding as zeros: a convolution with ones, channel by channel."""
    ones = torch.ones((1, 1, *w.kernel), dtype=x.dtype, device=x.device)
    channels = functional.pad(x, w.flat_padding()).flatten(0, 1).unsqueeze(1)
    y = CONV[len(w.kernel)](channels, ones, None, w.strides, 0, w.dilations)
    return y.reshape(*x.shape[:2], *y.shape[2:])
