"""Sums, means, norms and extremes over axes; running sums; sorting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from .activations import first_largest
from .registry import Node, Tensor, axis_of, op

Reduction = Callable[[Tensor, list[int], bool], Tensor]


def _sum(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.sum(x, axes, keepdim=keep, dtype=x.dtype)


def _mean(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    if x.dtype.is_floating_point:
        return torch.mean(x, axes, keepdim=keep)
    return torch.mean(x.double(), axes, keepdim=keep).to(x.dtype)


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted(axes, reverse=True):
        x = torch.prod(x, axis, keepdim=keep, dtype=x.dtype)
    return x


def _extreme(largest: bool) -> Reduction:
    def reduce(x: Tensor, axes: list[int], keep: bool) -> Tensor:
        if any(x.shape[axis] == 0 for axis in axes):  # the neutral element, for which torch has no answer
            shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
            empty = torch.full(shape, _bound(x.dtype, lowest=largest), dtype=x.dtype, device=x.device)
            return empty if keep else empty.reshape([n for i, n in enumerate(x.shape) if i not in axes])
        return torch.amax(x, axes, keepdim=keep) if largest else torch.amin(x, axes, keepdim=keep)

    return reduce


def _bound(dtype: Any, *, lowest: bool) -> float | int | bool:
    if dtype == torch.bool:
        return not lowest
    if dtype.is_floating_point:
        return float("-inf") if lowest else float("inf")
    return int(torch.iinfo(dtype).min if lowest else torch.iinfo(dtype).max)


def _log_sum_exp(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.logsumexp(x, axes, keepdim=keep)


_REDUCTIONS: dict[str, Reduction] = {
    "ReduceSum": _sum,
    "ReduceMean": _mean,
    "ReduceMax": _extreme(largest=True),
    "ReduceMin": _extreme(largest=False),
    "ReduceProd": _product,
    "ReduceL1": lambda x, axes, keep: _sum(torch.abs(x), axes, keep),
    "ReduceL2": lambda x, axes, keep: torch.sqrt(_sum(x * x, axes, keep)).to(x.dtype),
    "ReduceSumSquare": lambda x, axes, keep: _sum(x * x, axes, keep),
    "ReduceLogSum": lambda x, axes, keep: torch.log(_sum(x, axes, keep)).to(x.dtype),
    "ReduceLogSumExp": _log_sum_exp,
}


def _register_reductions() -> None:
    for name, function in _REDUCTIONS.items():

        def run(node: Node, x: Tensor, axes: Tensor = None, f: Reduction = function) -> Tensor:
            chosen = node.attr("axes") if axes is None else axes.tolist()
            if not chosen and node.attr("noop_with_empty_axes", 0):
                return f(x.unsqueeze(-1), [x.dim()], False)  # each element alone: torch takes no axes for all
            chosen = [axis_of(a, x.dim()) for a in chosen] if chosen else list(range(x.dim()))
            return f(x, chosen, bool(node.attr("keepdims", 1))) if x.dim() else f(x.reshape(1), [0], False)

        op(name, "axes keepdims noop_with_empty_axes", host=(1,))(run)


_register_reductions()


@op("ArgMax", "axis keepdims select_last_index")
def arg_max(node: Node, x: Tensor) -> Tensor:
    axis = axis_of(node.attr("axis", 0), x.dim())
    if node.attr("select_last_index", 0):
        found = x.shape[axis] - 1 - first_largest(torch.flip(x, [axis]), axis)
    else:
        found = first_largest(x, axis)
    return found if node.attr("keepdims", 1) else found.squeeze(axis)


@op("ArgMin", "axis keepdims select_last_index")
def arg_min(node: Node, x: Tensor) -> Tensor:
    return arg_max(node, -x if x.dtype.is_floating_point else ~x)


@op("CumSum", "exclusive reverse", host=(1,))
def cum_sum(node: Node, x: Tensor, axis: Tensor) -> Tensor:
    along = axis_of(int(axis), x.dim())
    if node.attr("reverse", 0):
        x = torch.flip(x, [along])
    total = torch.cumsum(x, along, dtype=x.dtype)
    if node.attr("exclusive", 0):
        first = torch.zeros_like(total.narrow(along, 0, min(1, x.shape[along])))
        total = torch.cat([first, total], along).narrow(along, 0, x.shape[along])
    return torch.flip(total, [along]) if node.attr("reverse", 0) else total


@op("TopK", "axis largest sorted", host=(1,))
def top_k(node: Node, x: Tensor, k: Tensor) -> Any:
    axis = axis_of(node.attr("axis", -1), x.dim())
    values, places = torch.sort(x, dim=axis, descending=bool(node.attr("largest", 1)), stable=True)
    return values.narrow(axis, 0, int(k)), places.narrow(axis, 0, int(k))
