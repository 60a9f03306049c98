"""Matrix products."""

from __future__ import annotations

import torch

from .registry import Node, Tensor, op


@op("MatMul")
def matmul(node: Node, x: Tensor, y: Tensor) -> Tensor:
    return torch.matmul(x, y)


@op("Gemm", "alpha beta transA transB")
def gemm(node: Node, a: Tensor, b: Tensor, c: Tensor = None) -> Tensor:
    a = a.T if node.attr("transA", 0) else a
    b = b.T if node.attr("transB", 0) else b
    alpha, beta = node.attr("alpha", 1.0), node.attr("beta", 1.0)
    product = torch.matmul(a, b)
    if alpha != 1.0:
        product = product * alpha
    if c is None or beta == 0.0:
        return product
    return product + (c if beta == 1.0 else c * beta)


@op("Einsum", "equation")
def einsum(node: Node, *inputs: Tensor) -> Tensor:
    return torch.einsum(node.attr("equation").replace(" ", ""), *inputs)
