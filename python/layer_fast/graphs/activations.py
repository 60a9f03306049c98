"""Rules of operators with one input, element by element. At a kink the subgradient is PyTorch's."""

from __future__ import annotations

import math

from ..errors import ModelError
from .build import Builder
from .rules import Gradients, Node, rule


@rule("Relu")
def relu(b: Builder, n: Node, dy: str) -> Gradients:
    """The gate is read from the output: an engine may then fuse convolution and ReLU, and forget what lies between."""
    return [b.where(b.op("Greater", n.y, n.scalar(0)), dy, n.scalar(0))]


@rule("LeakyRelu")
def leaky_relu(b: Builder, n: Node, dy: str) -> Gradients:
    alpha = n.attr("alpha", 0.01)
    gate = n.y if alpha >= 0 else n.x  # the output has the input's sign: see relu
    return [b.where(b.op("Greater", gate, n.scalar(0)), dy, b.mul(dy, n.scalar(alpha)))]


@rule("PRelu")
def prelu(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.where(b.op("Greater", n.x, n.scalar(0)), dy, b.mul(dy, n.inputs[1]))]


@rule("ThresholdedRelu")
def thresholded_relu(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.where(b.op("Greater", n.x, n.scalar(n.attr("alpha", 1.0))), dy, n.scalar(0))]


@rule("Shrink")
def shrink(b: Builder, n: Node, dy: str) -> Gradients:
    beyond = b.op("Greater", b.op("Abs", n.x), n.scalar(n.attr("lambd", 0.5)))
    return [b.where(beyond, dy, n.scalar(0))]


@rule("Clip")
def clip(b: Builder, n: Node, dy: str) -> Gradients:
    """Gradient 1 on the bounds as torch.clamp has it; 0 on them for (0, 6), which is ReLU6."""
    bounds = [n.value(i) for i in (1, 2)]
    is_relu6 = all(v is not None for v in bounds) and [float(v.item()) for v in bounds if v is not None] == [0.0, 6.0]
    for i, test in ((1, "Greater"), (2, "Less")):
        if n.has(i):
            dy = b.where(b.op(test if is_relu6 else test + "OrEqual", n.x, n.inputs[i]), dy, n.scalar(0))
    return [dy]


@rule("Elu")
def elu(b: Builder, n: Node, dy: str) -> Gradients:
    slope = b.add(n.y, n.scalar(n.attr("alpha", 1.0)))
    return [b.where(b.op("Greater", n.x, n.scalar(0)), dy, b.mul(dy, slope))]


@rule("Selu")
def selu(b: Builder, n: Node, dy: str) -> Gradients:
    alpha, gamma = n.attr("alpha", 1.67326319217681884765625), n.attr("gamma", 1.05070102214813232421875)
    slope = b.add(n.y, n.scalar(alpha * gamma))
    return [b.mul(dy, b.where(b.op("Greater", n.x, n.scalar(0)), n.scalar(gamma), slope))]


@rule("Celu")
def celu(b: Builder, n: Node, dy: str) -> Gradients:
    slope = b.add(b.mul(n.y, n.scalar(1.0 / n.attr("alpha", 1.0))), n.scalar(1))
    return [b.where(b.op("Greater", n.x, n.scalar(0)), dy, b.mul(dy, slope))]


@rule("Sigmoid")
def sigmoid(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.mul(dy, b.mul(n.y, b.sub(n.scalar(1), n.y)))]


@rule("HardSigmoid")
def hard_sigmoid(b: Builder, n: Node, dy: str) -> Gradients:
    inside = b.op("And", b.op("Greater", n.y, n.scalar(0)), b.op("Less", n.y, n.scalar(1)))
    return [b.where(inside, b.mul(dy, n.scalar(n.attr("alpha", 0.2))), n.scalar(0))]


@rule("HardSwish")
def hard_swish(b: Builder, n: Node, dy: str) -> Gradients:
    slope = b.add(b.mul(n.x, n.scalar(1 / 3)), n.scalar(0.5))
    slope = b.where(b.op("Less", n.x, n.scalar(3)), slope, n.scalar(1))
    slope = b.where(b.op("Greater", n.x, n.scalar(-3)), slope, n.scalar(0))
    return [b.mul(dy, slope)]


@rule("Tanh")
def tanh(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.mul(dy, b.sub(n.scalar(1), b.mul(n.y, n.y)))]


@rule("Softplus")
def softplus(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.mul(dy, b.op("Sigmoid", n.x))]


@rule("Softsign")
def softsign(b: Builder, n: Node, dy: str) -> Gradients:
    scale = b.add(b.op("Abs", n.x), n.scalar(1))
    return [b.div(dy, b.mul(scale, scale))]


@rule("Gelu")
def gelu(b: Builder, n: Node, dy: str) -> Gradients:
    half = n.scalar(0.5)
    square = b.mul(n.x, n.x)
    if n.attr("approximate", "none") == "none":
        phi = b.mul(b.add(b.op("Erf", b.mul(n.x, n.scalar(math.sqrt(0.5)))), n.scalar(1)), half)
        density = b.mul(b.op("Exp", b.mul(square, n.scalar(-0.5))), n.scalar(1 / math.sqrt(2 * math.pi)))
        return [b.mul(dy, b.add(phi, b.mul(n.x, density)))]
    c, k = math.sqrt(2 / math.pi), 0.044715
    t = b.op("Tanh", b.mul(n.x, b.add(b.mul(square, n.scalar(c * k)), n.scalar(c))))
    inner = b.add(b.mul(square, n.scalar(3 * c * k)), n.scalar(c))
    curve = b.mul(b.mul(n.x, b.sub(n.scalar(1), b.mul(t, t))), inner)
    return [b.mul(dy, b.mul(b.add(b.add(t, n.scalar(1)), curve), half))]


@rule("Mish")
def mish(b: Builder, n: Node, dy: str) -> Gradients:
    t = b.op("Tanh", b.op("Softplus", n.x))
    curve = b.mul(b.mul(n.x, b.sub(n.scalar(1), b.mul(t, t))), b.op("Sigmoid", n.x))
    return [b.mul(dy, b.add(t, curve))]


@rule("Exp")
def exp(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.mul(dy, n.y)]


@rule("Log")
def log(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.div(dy, n.x)]


@rule("Sqrt")
def sqrt(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.div(b.mul(dy, n.scalar(0.5)), n.y)]


@rule("Reciprocal")
def reciprocal(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.op("Neg", b.mul(dy, b.mul(n.y, n.y)))]


@rule("Neg")
def neg(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.op("Neg", dy)]


@rule("Abs")
def absolute(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.mul(dy, b.op("Sign", n.x))]


@rule("Erf")
def erf(b: Builder, n: Node, dy: str) -> Gradients:
    density = b.mul(b.op("Exp", b.op("Neg", b.mul(n.x, n.x))), n.scalar(2 / math.sqrt(math.pi)))
    return [b.mul(dy, density)]


@rule("Identity")
def identity(b: Builder, n: Node, dy: str) -> Gradients:
    return [dy]


@rule("Dropout")
def dropout(b: Builder, n: Node, dy: str) -> Gradients:
    if n.has(2) and bool(n.constant(2, "training_mode")):
        raise ModelError(f"{n.label}: dropout is in training mode; export the model in evaluation mode")
    return [dy]


@rule("Cast")
def cast(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.op("Cast", dy, to=b.elem_type(n.x))]


@rule("CastLike")
def cast_like(b: Builder, n: Node, dy: str) -> Gradients:
    return [b.op("Cast", dy, to=b.elem_type(n.x)), None]
