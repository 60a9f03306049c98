"""Normalisations, with statistics as the graph gives them or as the tensor has them."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch.nn import functional

from .registry import Node, Tensor, axis_of, by_axis, op


@op("BatchNormalization", "epsilon momentum training_mode")
def batch_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    if node.attr("training_mode", 0):
        raise node.refuse("training_mode is 1, expected a graph for inference")
    return functional.batch_norm(x, mean, variance, scale, bias, False, 0.0, node.attr("epsilon", 1e-5))


@op("InstanceNormalization", "epsilon")
def instance_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return torch.group_norm(x, x.shape[1], scale, bias, node.attr("epsilon", 1e-5))


@op("GroupNormalization", "epsilon num_groups stash_type")
def group_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    groups = node.attr("num_groups")
    if node.opset < 21:  # one factor per group; per channel since then
        scale, bias = (v.repeat_interleave(x.shape[1] // groups) for v in (scale, bias))
    return torch.group_norm(x, groups, scale, bias, node.attr("epsilon", 1e-5))


@op("LayerNormalization", "axis epsilon stash_type")
def layer_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor = None) -> Any:
    axis = axis_of(node.attr("axis", -1), x.dim())
    epsilon = node.attr("epsilon", 1e-5)
    if node.outputs == 1 and scale.shape == x.shape[axis:] and (bias is None or bias.shape == scale.shape):
        return torch.layer_norm(x, x.shape[axis:], scale, bias, epsilon)
    axes = list(range(axis, x.dim()))
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    factor = torch.rsqrt(variance + epsilon)
    y = (x - mean) * factor * scale
    return (y if bias is None else y + bias), mean, factor


@op("LRN", "alpha beta bias size")
def local_response_norm(node: Node, x: Tensor) -> Tensor:
    size = node.attr("size")
    before = (size - 1) // 2
    squares = functional.pad((x * x).flatten(2), (0, 0, before, size - 1 - before)).reshape(
        x.shape[0], -1, *x.shape[2:]
    )
    total = torch.stack([squares.narrow(1, i, x.shape[1]) for i in range(size)]).sum(0)
    scale = node.attr("bias", 1.0) + node.attr("alpha", 1e-4) / size * total
    return x / torch.pow(scale, node.attr("beta", 0.75))


@op("LpNormalization", "axis p")
def lp_normalization(node: Node, x: Tensor) -> Tensor:
    axis = node.attr("axis", -1)
    norm = torch.linalg.vector_norm(x, node.attr("p", 2), axis, keepdim=True)
    return torch.where(norm == 0, torch.zeros_like(x), x / norm)


@op("MeanVarianceNormalization", "axes")
def mean_variance(node: Node, x: Tensor) -> Tensor:
    axes = node.attr("axes", [0, 2, 3])
    mean = x.mean(axes, keepdim=True)
    deviation = torch.sqrt((x * x).mean(axes, keepdim=True) - mean * mean)
    return (x - mean) / (deviation + 1e-9)


@op("QuantizeLinear", "axis saturate block_size output_dtype precision")
def quantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor = None) -> Tensor:
    kind = node.kind(node.attr("output_dtype")) if node.attr("output_dtype") else torch.uint8
    kind = kind if zero is None else zero.dtype
    factor, offset = _along(node, x, scale), 0 if zero is None else _along(node, x, zero).to(x.dtype)
    limits = torch.iinfo(kind)
    return torch.clamp(torch.round(x / factor) + offset, limits.min, limits.max).to(kind)


@op("DequantizeLinear", "axis block_size output_dtype")
def dequantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor = None) -> Tensor:
    shifted = x.to(scale.dtype)
    if zero is not None:
        shifted = shifted - _along(node, x, zero).to(scale.dtype)
    return shifted * _along(node, x, scale)


def _along(node: Node, x: Tensor, values: Tensor) -> Tensor:
    """Scales or zero points: one, one per index of an axis, or one per block along it."""
    axis = axis_of(node.attr("axis", 1), x.dim()) if x.dim() else 0
    if prod(values.shape) == 1 and values.dim() <= 1:
        return values.reshape(())
    if values.dim() == 1:
        return by_axis(values, axis, x.dim())
    return values.repeat_interleave(node.attr("block_size", 1), axis).narrow(axis, 0, x.shape[axis])
