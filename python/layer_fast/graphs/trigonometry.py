"""Rules of the circular and hyperbolic functions."""

from __future__ import annotations

from .build import Builder
from .rules import Gradients, Node, rule


def _one_plus_square(b: Builder, n: Node, x: str) -> str:
    return b.add(b.mul(x, x), n.scalar(1))


def _one_minus_square(b: Builder, n: Node, x: str) -> str:
    return b.sub(n.scalar(1), b.mul(x, x))


@rule("Sin")
def sin(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.mul(dy, b.op("Cos", n.x))]


@rule("Cos")
def cos(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.op("Neg", b.mul(dy, b.op("Sin", n.x)))]


@rule("Tan")
def tan(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.mul(dy, _one_plus_square(b, n, n.y))]


@rule("Asin")
def asin(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.div(dy, b.op("Sqrt", _one_minus_square(b, n, n.x)))]


@rule("Acos")
def acos(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.op("Neg", b.div(dy, b.op("Sqrt", _one_minus_square(b, n, n.x))))]


@rule("Atan")
def atan(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.div(dy, _one_plus_square(b, n, n.x))]


@rule("Sinh")
def sinh(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.mul(dy, b.op("Cosh", n.x))]


@rule("Cosh")
def cosh(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.mul(dy, b.op("Sinh", n.x))]


@rule("Asinh")
def asinh(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.div(dy, b.op("Sqrt", _one_plus_square(b, n, n.x)))]


@rule("Acosh")
def acosh(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.div(dy, b.op("Sqrt", b.sub(b.mul(n.x, n.x), n.scalar(1))))]


@rule("Atanh")
def atanh(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.div(dy, _one_minus_square(b, n, n.x))]
