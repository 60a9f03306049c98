"""Activation functions, softmax and its relatives."""

from __future__ import annotations

import torch
from torch.nn import functional

from .registry import Node, Tensor, axis_of, by_axis, op


@op("Relu")
def relu(node: Node, x: Tensor) -> Tensor:
    return torch.relu(x)


@op("LeakyRelu", "alpha")
def leaky_relu(node: Node, x: Tensor) -> Tensor:
    return functional.leaky_relu(x, node.attr("alpha", 0.01))


@op("PRelu")
def prelu(node: Node, x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, x * slope, x)


@op("ThresholdedRelu", "alpha")
def thresholded_relu(node: Node, x: Tensor) -> Tensor:
    return torch.where(x > node.attr("alpha", 1.0), x, torch.zeros_like(x))


@op("Elu", "alpha")
def elu(node: Node, x: Tensor) -> Tensor:
    return functional.elu(x, node.attr("alpha", 1.0))


@op("Celu", "alpha")
def celu(node: Node, x: Tensor) -> Tensor:
    return functional.celu(x, node.attr("alpha", 1.0))


@op("Selu", "alpha gamma")
def selu(node: Node, x: Tensor) -> Tensor:
    return node.attr("gamma", 1.0507009873554805) * functional.elu(x, node.attr("alpha", 1.6732632423543772))


@op("Sigmoid")
def sigmoid(node: Node, x: Tensor) -> Tensor:
    return torch.sigmoid(x)


@op("HardSigmoid", "alpha beta")
def hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    return torch.clamp(x * node.attr("alpha", 0.2) + node.attr("beta", 0.5), 0, 1)


@op("HardSwish")
def hard_swish(node: Node, x: Tensor) -> Tensor:
    return x * torch.clamp(x / 6 + 0.5, 0, 1)


@op("Softplus")
def softplus(node: Node, x: Tensor) -> Tensor:
    return torch.logaddexp(x, torch.zeros_like(x))  # torch's own softplus becomes linear at 20


@op("Softsign")
def softsign(node: Node, x: Tensor) -> Tensor:
    return x / (1 + torch.abs(x))


@op("Mish")
def mish(node: Node, x: Tensor) -> Tensor:
    return x * torch.tanh(torch.logaddexp(x, torch.zeros_like(x)))


@op("Gelu", "approximate")
def gelu(node: Node, x: Tensor) -> Tensor:
    return functional.gelu(x, approximate=node.attr("approximate", "none"))


@op("Shrink", "bias lambd")
def shrink(node: Node, x: Tensor) -> Tensor:
    bias, edge = node.attr("bias", 0.0), node.attr("lambd", 0.5)
    return torch.where(x < -edge, x + bias, torch.where(x > edge, x - bias, torch.zeros_like(x)))


@op("Softmax", "axis")
def softmax(node: Node, x: Tensor) -> Tensor:
    return torch.softmax(x, node.attr("axis", -1))


@op("LogSoftmax", "axis")
def log_softmax(node: Node, x: Tensor) -> Tensor:
    return torch.log_softmax(x, node.attr("axis", -1))


@op("Hardmax", "axis")
def hardmax(node: Node, x: Tensor) -> Tensor:
    axis = axis_of(node.attr("axis", -1), x.dim())
    first = first_largest(x, axis)
    return torch.zeros_like(x).scatter(axis, first, torch.ones_like(first, dtype=x.dtype))


def first_largest(x: Tensor, axis: int) -> Tensor:
    """Index of the largest element along an axis (kept), the first of equals; torch.argmax promises no order."""
    places = by_axis(torch.arange(x.shape[axis], device=x.device), axis, x.dim())
    is_largest = x == x.amax(axis, keepdim=True)
    return torch.where(is_largest, places, x.shape[axis]).amin(axis, keepdim=True)
