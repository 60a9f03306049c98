"""Rules alone, float64 central differences: element-wise operators, reductions, norms, products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import erf

from graphs.single import check_formula, check_smooth

A = np.random.default_rng(1).standard_normal((2, 3, 4))
P = np.abs(A) + 0.3
U = np.tanh(A) * 0.8


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


# op: (x, constants, attributes, oldest opset, options)
Case = tuple[str, np.ndarray, list[Any], dict[str, Any], int]

UNARY: list[Case] = [
    ("Relu", A, [], {}, 13),
    ("LeakyRelu", A, [], {"alpha": 0.3}, 13),
    ("Elu", A, [], {"alpha": 1.3}, 13),
    ("PRelu", A, [P[:1, :, :1]], {}, 13),
    ("ThresholdedRelu", A, [], {"alpha": 0.4}, 13),
    ("Shrink", A, [], {"lambd": 0.3, "bias": 0.1}, 13),
    ("Clip", A, [np.array(-0.5), np.array(0.7)], {}, 13),
    ("Clip", A, [None, np.array(0.2)], {}, 13),
    ("Clip", A * 4, [np.array(0.0), np.array(6.0)], {}, 13),
    ("Selu", A, [], {}, 13),
    ("Sigmoid", A, [], {}, 13),
    ("HardSigmoid", 4 * A, [], {"alpha": 0.3, "beta": 0.4}, 13),
    ("HardSwish", 4 * A, [], {}, 14),
    ("Tanh", A, [], {}, 13),
    ("Softplus", A, [], {}, 13),
    ("Softsign", A, [], {}, 13),
    ("Gelu", A, [], {"approximate": "tanh"}, 20),
    ("Mish", A, [], {}, 18),
    ("Exp", A, [], {}, 13),
    ("Log", P, [], {}, 13),
    ("Sqrt", P, [], {}, 13),
    ("Reciprocal", P, [], {}, 13),
    ("Neg", A, [], {}, 13),
    ("Abs", A, [], {}, 13),
    ("Identity", A, [], {}, 13),
    ("Dropout", A, [], {}, 13),
    ("Sin", A, [], {}, 13),
    ("Cos", A, [], {}, 13),
    ("Tan", U, [], {}, 13),
    ("Asin", U, [], {}, 13),
    ("Acos", U, [], {}, 13),
    ("Atan", A, [], {}, 13),
    ("Sinh", A, [], {}, 13),
    ("Cosh", A, [], {}, 13),
    ("Asinh", A, [], {}, 13),
    ("Acosh", P + 1, [], {}, 13),
    ("Atanh", U, [], {}, 13),
]
BROADCAST: list[Case] = [
    (op, P, [value], {}, 13)
    for op in ("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Sum", "Mean")
    for value in (P[:1, :, ::-1] + 0.01, np.array(1.2), np.stack([P[::-1] + 0.1, P + 0.2]))
    if op != "Mean" or value.ndim < 4  # the reference cannot broadcast Mean to a higher rank
]
REDUCE: list[Case] = (
    [
        (f"Reduce{kind}", P, [], {"keepdims": keep}, 13)
        for kind in ("Mean", "Sum", "Max", "Min", "L1", "L2", "SumSquare", "LogSum", "LogSumExp", "Prod")
        for keep in (0, 1)
    ]
    + [
        (f"Reduce{kind}", P, [ints(-1, 1)], {"keepdims": 0}, 18)
        for kind in ("Mean", "Sum", "Max", "Min", "L1", "L2", "SumSquare", "LogSum", "LogSumExp", "Prod")
    ]
    + [
        (f"Reduce{kind}", P, [], {"noop_with_empty_axes": 1, "keepdims": 0}, 13 if kind == "Sum" else 18)
        for kind in ("Mean", "Sum", "Max", "Min", "L1", "L2", "SumSquare", "LogSum", "LogSumExp", "Prod")
    ]
    + [
        ("Softmax", A, [], {"axis": 1}, 13),
        ("LogSoftmax", A, [], {"axis": -1}, 13),
        ("CumSum", A, [np.array(1)], {}, 14),
        ("CumSum", A, [np.array(-1)], {"reverse": 1, "exclusive": 1}, 14),
    ]
)
W = np.random.default_rng(2).standard_normal
X4 = W((2, 4, 3, 3))
NORM: list[Case] = [
    ("BatchNormalization", X4, [W(4), W(4), W(4), P[0, 0, :4]], {"epsilon": 0.1}, 15),
    ("InstanceNormalization", X4, [W(4), W(4)], {"epsilon": 0.01}, 13),
    ("InstanceNormalization", X4, [np.ones(4), W(4)], {}, 13),
    ("LayerNormalization", X4, [W((3, 3)), W((3, 3))], {"axis": -2}, 17),
    ("LayerNormalization", A, [W(4)], {"epsilon": 0.01}, 17),
    ("LpNormalization", A, [], {"axis": 1, "p": 2}, 13),
]
PRODUCT: list[Case] = [
    ("MatMul", A, [W((4, 5))], {}, 13),
    ("MatMul", A, [W((2, 4, 5))], {}, 13),
    ("MatMul", A, [W((5, 2, 4, 2))], {}, 13),
    ("MatMul", A, [W(4)], {}, 13),
    ("MatMul", W(4), [W(4)], {}, 13),
    ("MatMul", W(4), [W((2, 4, 3))], {}, 13),
    ("Gemm", W((3, 4)), [W((4, 2)), W(2)], {"alpha": 0.7, "beta": 0.3}, 13),
    ("Gemm", W((3, 4)), [W((2, 4)), W((3, 2))], {"transB": 1}, 13),
    ("Gemm", W((4, 3)), [W((4, 2))], {"transA": 1, "alpha": 2.0}, 13),
    ("Gemm", W((4, 3)), [W((2, 4))], {"transA": 1, "transB": 1}, 13),
    ("Einsum", A, [W((3, 5))], {"equation": "bij,ik->bjk"}, 13),
    ("Einsum", A, [W((4, 5))], {"equation": "...j,jk"}, 13),
    ("Einsum", A, [], {"equation": "bij->jbi"}, 13),
]
CASES = UNARY + BROADCAST + REDUCE + NORM + PRODUCT


def _name(case: Case) -> str:
    return f"{case[0]}-{'x'.join(map(str, case[1].shape))}-{'-'.join(f'{k}{v}' for k, v in case[3].items())}"


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_rule(case: Case) -> None:
    op, x, constants, attributes, oldest = case
    for opset in sorted({oldest, 21}):
        if op.startswith("Reduce") and not constants and oldest < 18 and opset == 21:
            attributes = {k: v for k, v in attributes.items() if k != "axes"}
        check_smooth(op, x, constants, attributes=attributes, opset=opset)


@pytest.mark.parametrize(("op", "axes"), [("Mean", [1]), ("Max", [-1, 0]), ("L2", [2])])
def test_reduction_with_axes_as_attribute(op: str, axes: list[int]) -> None:
    check_smooth(f"Reduce{op}", P, [], attributes={"axes": axes, "keepdims": 0}, opset=13)


SECOND: list[tuple[str, np.ndarray, list[Any], dict[str, Any], int]] = [
    ("Sub", P, [W((2, 3, 4))], {}, 1),
    ("Div", P, [W((2, 2, 3, 4))], {}, 1),
    ("Pow", P, [P + 0.2], {}, 1),
    ("Where", A, [A > 0, W((3, 4))], {}, 1),
    ("Where", A, [A > 0, W((5, 2, 3, 4))], {}, 2),
    ("MatMul", A, [W((5, 3))], {}, 1),
    ("MatMul", A, [W((6, 2, 2, 3))], {}, 1),
    ("MatMul", W(3), [A.swapaxes(1, 2)], {}, 1),
    ("MatMul", A, [W(3)], {}, 1),
    ("Gemm", W((4, 2)), [W((3, 4)), W(2)], {"alpha": 0.7}, 1),
    ("Gemm", W((2, 4)), [W((4, 3))], {"transA": 1, "transB": 1}, 1),
    ("Gemm", W((2, 4)), [W((3, 4))], {"transB": 1}, 1),
    ("Gemm", W(2), [W((3, 4)), W((4, 2))], {"beta": 0.4}, 2),
    ("Einsum", A, [W((5, 3))], {"equation": "ki,bij->bkj"}, 1),
]


@pytest.mark.parametrize(("op", "x", "constants", "attributes", "place"), SECOND)
def test_gradient_of_a_later_input(op: str, x: np.ndarray, constants: list[Any], attributes: Any, place: int) -> None:
    check_smooth(op, x, constants, attributes=attributes, before=place)


def _lrn(x: np.ndarray, size: int, alpha: float, beta: float, bias: float) -> np.ndarray:
    low = (size - 1) // 2
    square = np.pad(x * x, [(0, 0), (low, size - 1 - low), (0, 0), (0, 0)])
    total = sum(square[:, t : t + x.shape[1]] for t in range(size))
    return x / (bias + alpha / size * total) ** beta


def _group(x: np.ndarray, groups: int, scale: np.ndarray, epsilon: float) -> np.ndarray:
    g = x.reshape(x.shape[0], groups, -1)
    g = (g - g.mean(2, keepdims=True)) / np.sqrt(g.var(2, keepdims=True) + epsilon)
    return g.reshape(x.shape) * scale[:, None, None]


def _mvn(x: np.ndarray) -> np.ndarray:
    axes = (0, 2, 3)
    return (x - x.mean(axes, keepdims=True)) / (x.std(axes, keepdims=True) + 1e-9)


S4 = W(4)
FORMULAS: list[tuple[str, np.ndarray, list[Any], dict[str, Any], int, Any]] = [
    ("Celu", A, [], {"alpha": 0.7}, 13, lambda x: np.where(x > 0, x, 0.7 * np.expm1(x / 0.7))),
    ("Erf", A, [], {}, 13, erf),
    ("Gelu", A, [], {}, 20, lambda x: x * 0.5 * (1 + erf(x / np.sqrt(2)))),
    ("LpNormalization", A, [], {"axis": -1, "p": 1}, 13, lambda x: x / np.abs(x).sum(-1, keepdims=True)),
    (
        "LRN",
        W((1, 7, 2, 2)),
        [],
        {"size": 3, "alpha": 0.5, "beta": 0.6, "bias": 1.5},
        13,
        lambda x: _lrn(x, 3, 0.5, 0.6, 1.5),
    ),
    ("LRN", W((1, 6, 2, 2)), [], {"size": 5, "alpha": 0.5}, 13, lambda x: _lrn(x, 5, 0.5, 0.75, 1.0)),
    ("MeanVarianceNormalization", W((2, 3, 3, 2)), [], {"axes": [0, 2, 3]}, 13, _mvn),
    ("GroupNormalization", X4, [S4, np.zeros(4)], {"num_groups": 2}, 21, lambda x: _group(x, 2, S4, 1e-5)),
]


@pytest.mark.parametrize(("op", "x", "constants", "attributes", "oldest", "formula"), FORMULAS)
def test_rule_against_formula(
    op: str, x: np.ndarray, constants: Any, attributes: Any, oldest: int, formula: Any
) -> None:
    for opset in sorted({oldest, 21}):
        check_formula(op, x, constants, formula, attributes=attributes, opset=opset)
