"""Arithmetic, comparisons, logic and casts: one element in, one element out."""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch

from .registry import Node, Tensor, op

_UNARY = {
    "Abs": torch.abs, "Acos": torch.acos, "Acosh": torch.acosh, "Asin": torch.asin, "Asinh": torch.asinh,
    "Atan": torch.atan, "Atanh": torch.atanh, "BitwiseNot": torch.bitwise_not, "Ceil": torch.ceil, "Cos": torch.cos,
    "Cosh": torch.cosh, "Erf": torch.erf, "Exp": torch.exp, "Floor": torch.floor, "IsNaN": torch.isnan,
    "Log": torch.log, "Neg": torch.neg, "Not": torch.logical_not, "Reciprocal": torch.reciprocal,
    "Round": torch.round, "Sign": torch.sign, "Sin": torch.sin, "Sinh": torch.sinh, "Sqrt": torch.sqrt,
    "Tan": torch.tan, "Tanh": torch.tanh,
}  # fmt: skip
_BINARY = {
    "Add": torch.add, "And": torch.logical_and, "BitwiseAnd": torch.bitwise_and, "BitwiseOr": torch.bitwise_or,
    "BitwiseXor": torch.bitwise_xor, "Equal": torch.eq, "Greater": torch.gt, "GreaterOrEqual": torch.ge,
    "Less": torch.lt, "LessOrEqual": torch.le, "Mul": torch.mul, "Or": torch.logical_or, "Sub": torch.sub,
    "Xor": torch.logical_xor,
}  # fmt: skip
_VARIADIC = {"Max": torch.maximum, "Min": torch.minimum, "Sum": torch.add}


def _register_plain() -> None:
    for name, function in {**_UNARY, **_BINARY}.items():
        op(name)(lambda node, *inputs, f=function: f(*inputs))
    for name, function in _VARIADIC.items():
        op(name)(lambda node, *inputs, f=function: reduce(f, inputs))


_register_plain()


@op("Mean")
def mean(node: Node, *inputs: Tensor) -> Tensor:
    return reduce(torch.add, inputs) / len(inputs)


@op("Div")
def div(node: Node, x: Tensor, y: Tensor) -> Tensor:
    return torch.div(x, y, rounding_mode=None if x.dtype.is_floating_point else "trunc")


@op("Mod", "fmod")
def mod(node: Node, x: Tensor, y: Tensor) -> Tensor:
    return torch.fmod(x, y) if node.attr("fmod", 0) else torch.remainder(x, y)


@op("Pow")
def power(node: Node, x: Tensor, y: Tensor) -> Tensor:
    return torch.pow(x, y).to(x.dtype)


@op("Clip")
def clip(node: Node, x: Tensor, low: Tensor = None, high: Tensor = None) -> Tensor:
    if low is not None:
        x = torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


@op("BitShift", "direction")
def bit_shift(node: Node, x: Tensor, y: Tensor) -> Tensor:
    return x << y if node.attr("direction") == "LEFT" else x >> y


@op("IsInf", "detect_negative detect_positive")
def is_inf(node: Node, x: Tensor) -> Tensor:
    found = torch.zeros_like(x, dtype=torch.bool)
    if node.attr("detect_negative", 1):
        found = found | torch.isneginf(x)
    return found | torch.isposinf(x) if node.attr("detect_positive", 1) else found


@op("Where")
def where(node: Node, condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return torch.where(condition, x, y)


@op("Identity")
def identity(node: Node, x: Tensor) -> Tensor:
    return x


@op("Dropout", "seed")
def dropout(node: Node, x: Tensor, ratio: Tensor = None, training: Tensor = None) -> Any:
    if training is not None and bool(training):
        raise node.refuse("training_mode is true, expected a graph for inference")
    return x, torch.ones_like(x, dtype=torch.bool)


@op("Cast", "to saturate round_mode")
def cast(node: Node, x: Tensor) -> Tensor:
    return x.to(node.kind(node.attr("to")))


@op("CastLike", "saturate round_mode")
def cast_like(node: Node, x: Tensor, like: Tensor) -> Tensor:
    return x.to(like.dtype)
