"""Rules of matrix products."""

from __future__ import annotations

import string

from .build import Builder, Dim
from .rules import Gradients, Node, rule
from .shapes import unbroadcast


def _swapped(b: Builder, n: Node, i: int) -> str:
    """Input i with its last two axes exchanged; a constant is exchanged once, here."""
    rank = b.rank(n.inputs[i])
    value = n.value(i)
    if value is not None:
        return b.const(value.swapaxes(-1, -2))
    return b.op("Transpose", n.inputs[i], perm=[*range(rank - 2), rank - 1, rank - 2])


@rule("MatMul")
def matmul(b: Builder, n: Node, dy: str) -> Gradients:
    left, right = n.inputs
    if b.rank(left) < 2 or b.rank(right) < 2:
        return _matmul_vector(b, n, dy)
    batch = b.shape(n.y)[:-2]
    parts: list[str | None] = [None, None]
    if n.needs(0):
        shape: tuple[Dim, ...] = (*batch, *b.shape(left)[-2:])
        parts[0] = unbroadcast(b, b.op("MatMul", dy, _swapped(b, n, 1)), shape, left)
    if n.needs(1):
        shape = (*batch, *b.shape(right)[-2:])
        parts[1] = unbroadcast(b, b.op("MatMul", _swapped(b, n, 0), dy), shape, right)
    return parts


def _matmul_vector(b: Builder, n: Node, dy: str) -> Gradients:
    """One operand is a vector: outer product or matrix-vector product by broadcasting."""
    left, right = n.inputs
    if b.rank(left) == 1 and b.rank(right) == 1:
        return [b.mul(dy, right) if n.needs(0) else None, b.mul(dy, left) if n.needs(1) else None]
    vector = 0 if b.rank(left) == 1 else 1
    matrix = n.inputs[1 - vector]
    summed = b.rank(matrix) - 2 + vector  # axis of the matrix that was multiplied and summed over
    wide = b.op("Unsqueeze", dy, b.ints([-1 if vector else -2]))
    parts: list[str | None] = [None, None]
    if n.needs(1 - vector):
        other = n.inputs[vector] if vector else b.op("Unsqueeze", n.inputs[vector], b.ints([1]))
        parts[1 - vector] = b.mul(wide, other)
    if n.needs(vector):
        axes = [a for a in range(b.rank(matrix)) if a != summed]
        parts[vector] = b.reduce("Sum", b.mul(wide, matrix), axes, keepdims=False)
    return parts


@rule("Gemm")
def gemm(b: Builder, n: Node, dy: str) -> Gradients:
    alpha, flip_a, flip_b = n.attr("alpha", 1.0), n.attr("transA", 0), n.attr("transB", 0)
    parts: list[str | None] = [None, None, None]
    if n.needs(0):
        first, second = (n.own_weight(1), dy) if flip_a else (dy, n.own_weight(1))
        parts[0] = b.op("Gemm", first, second, alpha=alpha, transA=flip_a and flip_b, transB=flip_a or 1 - flip_b)
    if n.needs(1):
        first, second = (dy, n.own_weight(0)) if flip_b else (n.own_weight(0), dy)
        parts[1] = b.op("Gemm", first, second, alpha=alpha, transA=flip_b or 1 - flip_a, transB=flip_a and flip_b)
    if n.needs(2):
        scaled = b.mul(dy, n.scalar(n.attr("beta", 1.0)))
        parts[2] = unbroadcast(b, scaled, b.shape(n.y), n.inputs[2])
    return parts


@rule("Einsum")
def einsum(b: Builder, n: Node, dy: str) -> Gradients:
    """Gradient of one operand: Einsum of dy with the others. At most two operands, no index twice in one operand."""
    terms, result = _einsum_terms(b, n)
    parts: list[str | None] = []
    for i, term in enumerate(terms):
        if not n.needs(i):
            parts.append(None)
            continue
        others = [k for k in range(len(terms)) if k != i]
        known = set(result).union(*(terms[k] for k in others))
        if not set(term) <= known:
            raise n.refuse(f"operand {i} is summed over an index that stands nowhere else")
        equation = ",".join([result, *(terms[k] for k in others)]) + "->" + term
        parts.append(b.op("Einsum", dy, *(n.inputs[k] for k in others), equation=equation))
    return parts


def _einsum_terms(b: Builder, n: Node) -> tuple[list[str], str]:
    equation = n.attr("equation").replace(" ", "")
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    if len(terms) > 2:
        raise n.refuse(f"{len(terms)} operands, expected at most 2")
    spare = [c for c in string.ascii_letters if c not in equation]
    ranks = [b.rank(name) - len(t.replace("...", "")) for name, t in zip(n.inputs, terms, strict=True)]
    if "..." in left and len({r for r, t in zip(ranks, terms, strict=True) if "..." in t}) > 1:
        raise n.refuse("operands differ in the number of axes under the ellipsis")
    dots = "".join(spare[: max(ranks)])
    if not arrow:
        joined = left.replace(",", "").replace("...", "")
        result = ("..." if "..." in left else "") + "".join(sorted(c for c in set(joined) if joined.count(c) == 1))
    terms = [t.replace("...", dots) for t in terms]
    if any(len(set(t)) < len(t) for t in terms):
        raise n.refuse("an index stands twice in one operand")
    return terms, result.replace("...", dots)
