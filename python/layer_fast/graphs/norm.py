"""Rules of normalisations; statistics of the forward are computed again, closed formulas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .build import Builder
from .rules import Gradients, Node, rule
from .shapes import cut, pad, reshape, reshape_like, size


@rule("BatchNormalization")
def batch_normalization(b: Builder, n: Node, dy: str) -> Gradients:
    if n.attr("training_mode", 0):
        raise n.refuse("batch normalisation is in training mode; export the model in evaluation mode")
    scale, variance = n.constant(1, "scale"), n.constant(4, "variance")
    factor = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + n.attr("epsilon", 1e-5))
    return [b.mul(dy, n.array(factor.reshape(1, -1, *[1] * (b.rank(n.x) - 2))))]


def normalised_backward(b: Builder, n: Node, x: str, g: str, axes: Sequence[int]) -> str:
    """Gradient of (x - mean) / sqrt(var + epsilon) over the axes: (g - mean(g) - xhat mean(g xhat)) / std."""
    centred = b.sub(x, b.reduce("Mean", x, axes))
    variance = b.reduce("Mean", b.mul(centred, centred), axes)
    std = b.op("Sqrt", b.add(variance, n.scalar(n.attr("epsilon", 1e-5))))
    xhat = b.div(centred, std)
    along = b.mul(xhat, b.reduce("Mean", b.mul(g, xhat), axes))
    return b.div(b.sub(b.sub(g, b.reduce("Mean", g, axes)), along), std)


def _per_channel(b: Builder, n: Node, values: np.ndarray) -> str:
    return n.array(values.reshape(1, -1, *[1] * (b.rank(n.x) - 2)))


@rule("InstanceNormalization")
def instance_normalization(b: Builder, n: Node, dy: str) -> Gradients:
    scale = n.constant(1, "scale")
    g = dy if np.all(scale == 1) else b.mul(dy, _per_channel(b, n, scale))
    return [normalised_backward(b, n, n.x, g, list(range(2, b.rank(n.x))))]


@rule("GroupNormalization")
def group_normalization(b: Builder, n: Node, dy: str) -> Gradients:
    """Scale per channel from opset 21, per group before."""
    groups, channels = n.attr("num_groups"), b.shape(n.x)[1]
    if not isinstance(channels, int):
        raise n.refuse("its number of channels is not fixed")
    scale = n.constant(1, "scale")
    if scale.size != channels:
        scale = np.repeat(scale, channels // groups)
    g = b.mul(dy, _per_channel(b, n, scale))
    split = [size(b, n.x, 0), groups, -1]
    back = normalised_backward(b, n, reshape(b, n.x, split), reshape(b, g, split), [2])
    return [reshape_like(b, back, n.x)]


@rule("LayerNormalization")
def layer_normalization(b: Builder, n: Node, dy: str) -> Gradients:
    rank = b.rank(n.x)
    axes = list(range(n.attr("axis", -1) % rank, rank))
    g = b.mul(dy, n.inputs[1])
    if b.rank(n.inputs[1]) > len(axes):
        raise n.refuse(f"scale of rank {b.rank(n.inputs[1])}, expected at most {len(axes)}")
    return [normalised_backward(b, n, n.x, g, axes)]


@rule("MeanVarianceNormalization")
def mean_variance_normalization(b: Builder, n: Node, dy: str) -> Gradients:
    """The operator's own definition divides by std + 1e-9."""
    axes = list(n.attr("axes") or [0, 2, 3])
    centred = b.sub(n.x, b.reduce("Mean", n.x, axes))
    std = b.op("Sqrt", b.reduce("Mean", b.mul(centred, centred), axes))
    whole = b.add(std, n.scalar(1e-9))
    along = b.mul(b.div(centred, b.mul(whole, std)), b.reduce("Mean", b.mul(dy, centred), axes))
    plain = b.sub(dy, b.reduce("Mean", dy, axes))
    return [b.div(b.sub(plain, along), whole)]


@rule("LpNormalization")
def lp_normalization(b: Builder, n: Node, dy: str) -> Gradients:
    """x / |x|_p along one axis, p = 1 or 2."""
    axes = [n.attr("axis", -1) % b.rank(n.x)]
    p = n.attr("p", 2)
    norm = b.reduce("L2" if p == 2 else "L1", n.x, axes)
    along = b.reduce("Sum", b.mul(dy, n.y), axes)
    slope = n.y if p == 2 else b.op("Sign", n.x)
    return [b.div(b.sub(dy, b.mul(slope, along)), norm)]


@rule("LRN")
def local_response(b: Builder, n: Node, dy: str) -> Gradients:
    """y = x D^-beta with D = bias + alpha / size * (sum of x^2 over a window of channels)."""
    width, alpha, beta = n.attr("size"), n.attr("alpha", 1e-4), n.attr("beta", 0.75)
    low = (width - 1) // 2
    power = b.mul(_channel_sum(b, n, b.mul(n.x, n.x), low, width), n.scalar(alpha / width))
    d = b.add(power, n.scalar(n.attr("bias", 1.0)))
    direct = b.mul(dy, b.op("Pow", d, n.scalar(-beta)))
    shared = _channel_sum(b, n, b.div(b.mul(dy, n.y), d), width - 1 - low, width)
    return [b.sub(direct, b.mul(b.mul(n.x, shared), n.scalar(2 * alpha * beta / width)))]


def _channel_sum(b: Builder, n: Node, x: str, low: int, width: int) -> str:
    """Sum over channels c - low ... c - low + width - 1."""
    channels = b.shape(n.x)[1]
    if not isinstance(channels, int):
        raise n.refuse("its number of channels is not fixed")
    wide = pad(b, x, b.rank(n.x), {1: (low, width - 1 - low)})
    return b.op("Sum", *(cut(b, wide, 1, t, t + channels) for t in range(width)))
