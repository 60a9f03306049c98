"""Rules of Conv and ConvTranspose with respect to their data; the weight is a constant."""

from __future__ import annotations

import numpy as np

from .build import Builder
from .rules import Gradients, Node, rule
from .shapes import cut, pad, plus, size, stuff
from .windows import Window, windows


@rule("Conv")
def conv(b: Builder, n: Node, dy: str) -> Gradients:
    """Stride 1: Conv with the flipped, transposed weight; else, or where that is wasteful, ConvTranspose."""
    weight, group = n.constant(1, "weight"), n.attr("group", 1)
    axes = windows(n, weight.shape[2:])
    unit = all(w.stride == 1 and w.before <= w.span and w.after <= w.span for w in axes)
    # im2col of a gradient much wider than the input costs more than ConvTranspose
    if unit and weight.shape[0] // group <= 2 * weight.shape[1]:
        pads = [w.span - w.before for w in axes] + [w.span - w.after for w in axes]
        dilations = [w.dilation for w in axes]
        flipped = b.const(_flipped(weight, group))
        return [b.op("Conv", dy, flipped, group=group, pads=pads, dilations=dilations, kernel_shape=weight.shape[2:])]
    return [_conv_strided(b, n, dy, axes, group)]


def _flipped(weight: np.ndarray, group: int) -> np.ndarray:
    """(O, I/g, *k) to (I, O/g, *k) with the kernel reversed."""
    out, inner, *kernel = weight.shape
    blocks = weight.reshape(group, out // group, inner, *kernel).swapaxes(1, 2)
    spatial = tuple(range(2, 2 + len(kernel)))
    return np.ascontiguousarray(np.flip(blocks.reshape(group * inner, out // group, *kernel), spatial))


def _conv_strided(b: Builder, n: Node, dy: str, axes: list[Window], group: int) -> str:
    """ConvTranspose to the input's size. Sizes known: what the stride left over shortens the end padding."""
    before, after, fill, crop = [], [], {}, []
    for i, w in enumerate(axes):
        length, count = size(b, n.x, 2 + i), size(b, n.y, 2 + i)
        if isinstance(length, int) and isinstance(count, int):
            rest = length + w.before + w.after - ((count - 1) * w.stride + w.span + 1)
            before.append(w.before)
            after.append(max(0, w.after - rest))
            fill[2 + i] = (0, max(0, rest - w.after))
        elif w.stride == 1:
            before.append(w.before)
            after.append(w.after)
        else:
            before.append(0)
            after.append(0)
            fill[2 + i] = (0, w.stride - 1)
            crop.append((2 + i, w.before, plus(b, length, w.before)))
    strides, dilations = [w.stride for w in axes], [w.dilation for w in axes]
    if max(strides) > 1 and max(dilations) > 1:  # TensorRT takes no ConvTranspose with both
        for i, w in enumerate(axes):
            if w.stride > 1:
                dy, _ = stuff(b, dy, b.rank(n.x), 2 + i, w.stride, size(b, n.y, 2 + i))
        strides = [1] * len(axes)
    kernel, pads = [w.kernel for w in axes], before + after
    back = b.op(
        "ConvTranspose",
        dy,
        n.own_weight(1),
        group=group,
        pads=pads,
        strides=strides,
        dilations=dilations,
        kernel_shape=kernel,
    )
    back = pad(b, back, b.rank(n.x), fill)
    for axis, start, end in crop:
        back = cut(b, back, axis, start, end)
    return back


@rule("ConvTranspose")
def conv_transpose(b: Builder, n: Node, dy: str) -> Gradients:
    """Conv with the same weight; output_padding adds elements that no input reaches beyond the last window."""
    weight, group = n.constant(1, "weight"), n.attr("group", 1)
    kernel = weight.shape[2:]
    if n.attr("auto_pad", "NOTSET") != "NOTSET" or n.attr("output_shape"):
        raise n.refuse("auto_pad and output_shape are not supported; export with pads and output_padding")
    axes = windows(n, kernel)
    if any(extra >= w.stride for extra, w in zip(n.attr("output_padding") or [], axes, strict=False)):
        raise n.refuse("output_padding is not smaller than the stride")
    back = b.op(
        "Conv",
        dy,
        n.own_weight(1),
        group=group,
        pads=[w.before for w in axes] + [w.after for w in axes],
        strides=[w.stride for w in axes],
        dilations=[w.dilation for w in axes],
        kernel_shape=list(kernel),
    )
    return [back]
