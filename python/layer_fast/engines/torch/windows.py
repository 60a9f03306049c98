"""Sizes and paddings that convolutions and pools share."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .registry import Node, Tensor

CONV = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
"""By the number of spatial axes."""


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window: kernel, strides, dilations and padding before and after, one entry per spatial axis."""

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    before: list[int]
    after: list[int]

    @property
    def symmetric(self) -> bool:
        return self.before == self.after

    def reach(self, axis: int) -> int:
        """Distance from the first to the last element of the window, plus one."""
        return (self.kernel[axis] - 1) * self.dilations[axis] + 1

    def flat_padding(self) -> list[int]:
        """As torch's pad wants it: the last axis first."""
        return flat(self.before, self.after)


def flat(before: list[int], after: list[int]) -> list[int]:
    return [n for pair in zip(reversed(before), reversed(after), strict=True) for n in pair]


def window(node: Node, x: Tensor, kernel: list[int]) -> Window:
    """Read strides, dilations and padding (explicit or auto_pad) of a convolution or pool."""
    rank = len(kernel)
    strides = list(node.attr("strides") or [1] * rank)
    dilations = list(node.attr("dilations") or [1] * rank)
    pads = list(node.attr("pads") or [0] * 2 * rank)
    found = Window(kernel, strides, dilations, pads[:rank], pads[rank:])
    auto = node.attr("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        for axis in range(rank):
            size, stride = x.shape[2 + axis], strides[axis]
            total = max(0, (-(-size // stride) - 1) * stride + found.reach(axis) - size)
            small, large = total // 2, total - total // 2
            found.before[axis], found.after[axis] = (small, large) if auto == "SAME_UPPER" else (large, small)
    elif auto == "VALID":
        found.before[:], found.after[:] = [0] * rank, [0] * rank
    return found


def with_ceil(found: Window, x: Tensor) -> Window:
    """Padding grown at the end so that a ragged last window fits, unless it would start beyond the input."""
    after = list(found.after)
    for axis in range(len(found.kernel)):
        size, stride = x.shape[2 + axis], found.strides[axis]
        span = size + found.before[axis] + after[axis] - found.reach(axis)
        steps = -(-span // stride)
        if steps * stride >= size + found.before[axis]:
            steps -= 1
        after[axis] = max(after[axis], after[axis] + steps * stride - span)
    return Window(found.kernel, found.strides, found.dilations, found.before, after)
