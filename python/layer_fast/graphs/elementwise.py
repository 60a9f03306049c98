"""Rules of element-by-element operators with several inputs, which broadcast."""

from __future__ import annotations

import numpy as np

from .build import Builder
from .rules import Gradients, Node, rule
from .shapes import unbroadcast


def _fit(b: Builder, n: Node, gradient: str, i: int) -> str:
    return unbroadcast(b, gradient, b.shape(n.y), n.inputs[i])


@rule("Add", "Sum")
def add(b: Builder, n: Node, dy: str) -> Gradients:
    return [_fit(b, n, dy, i) if n.needs(i) else None for i in range(len(n.inputs))]


@rule("Mean")
def mean(b: Builder, n: Node, dy: str) -> Gradients:
    return add(b, n, b.mul(dy, n.scalar(1.0 / len(n.inputs))))


@rule("Sub")
def sub(b: Builder, n: Node, dy: str) -> Gradients:
    left = _fit(b, n, dy, 0) if n.needs(0) else None
    return [left, b.op("Neg", _fit(b, n, dy, 1)) if n.needs(1) else None]


@rule("Mul")
def mul(b: Builder, n: Node, dy: str) -> Gradients:
    return [_fit(b, n, b.mul(dy, n.inputs[1 - i]), i) if n.needs(i) else None for i in (0, 1)]


@rule("Div")
def div(b: Builder, n: Node, dy: str) -> Gradients:
    quotient = b.div(dy, n.inputs[1])
    left = _fit(b, n, quotient, 0) if n.needs(0) else None
    return [left, b.op("Neg", _fit(b, n, b.mul(quotient, n.y), 1)) if n.needs(1) else None]


@rule("Pow")
def power(b: Builder, n: Node, dy: str) -> Gradients:
    base, exponent = n.inputs[:2]
    if b.elem_type(exponent) != b.elem_type(base):
        exponent = b.op("Cast", exponent, to=b.elem_type(base))
    known = n.value(1)
    parts: list[str | None] = [None, None]
    if n.needs(0):
        if known is not None and np.all(known == 2):
            slope = b.mul(base, n.scalar(2))
        else:
            slope = b.mul(b.op("Pow", base, b.sub(exponent, n.scalar(1))), exponent)
        parts[0] = _fit(b, n, b.mul(dy, slope), 0)
    if n.needs(1):
        parts[1] = _fit(b, n, b.mul(dy, b.mul(n.y, b.op("Log", base))), 1)
    return parts


@rule("Where")
def where(b: Builder, n: Node, dy: str) -> Gradients:
    zero = n.scalar(0)
    left = _fit(b, n, b.where(n.x, dy, zero), 1) if n.needs(1) else None
    return [None, left, _fit(b, n, b.where(n.x, zero, dy), 2) if n.needs(2) else None]


@rule("Min", "Max")
def extreme(b: Builder, n: Node, dy: str) -> Gradients:
    """Equal inputs share the gradient, as torch.maximum has it."""
    if len(n.inputs) == 1:
        return [dy]
    hits = [b.op("Equal", x, n.y) for x in n.inputs]
    counts = [b.op("Cast", hit, to=b.elem_type(n.y)) for hit in hits]
    share = b.div(dy, b.op("Sum", *counts))
    return [_fit(b, n, b.where(hit, share, n.scalar(0)), i) if n.needs(i) else None for i, hit in enumerate(hits)]
