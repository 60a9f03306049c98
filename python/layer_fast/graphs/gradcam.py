"""Class activation maps as graphs: the forward is shared, the backward goes down to one activation only."""

from __future__ import annotations

import onnx

from ..errors import ModelError
from .autodiff import backpropagate
from .build import Builder
from .layout import Layout, reduced_axes


def gradcam(
    model: onnx.ModelProto, output: str = "logits", activation: str = "features", relu: bool = False
) -> onnx.ModelProto:
    """Grad-CAM (Selvaraju et al. 2017) of a classifier.

    New input `cotangent` (B, K), new output `cam` (B, *spatial) = sum_k mean_u(dS/dA_k) * A_k with
    S = sum(cotangent * output) and A = `activation` (B, F, *spatial), any tensor of the graph. The map lies on the
    activation's grid and is signed; `relu=True` clips it at 0 as the paper does. Raises ModelError, also for an
    activation that is known to be channels last (B, *spatial, F).
    """
    b = Builder(model)
    axes, weights = _activation_gradient(b, output, activation)
    weights = b.reduce("Mean", weights, axes)
    return _finish(b, weights, activation, relu)


def hirescam(model: onnx.ModelProto, output: str = "logits", activation: str = "features") -> onnx.ModelProto:
    """HiResCAM (Draelos and Carin 2020): as `gradcam`, but cam = sum_k dS/dA_k * A_k, without mean and ReLU."""
    b = Builder(model)
    _, weights = _activation_gradient(b, output, activation)
    return _finish(b, weights, activation, relu=False)


def find_activations(model: onnx.ModelProto, output: str = "logits") -> list[str]:
    """Names of tensors (B, F, *spatial) that a class activation map can be taken from, the best first.

    These are the inputs of the means over all spatial axes that lead to `output`, then the outputs of Conv,
    BatchNormalization, InstanceNormalization, Relu, LeakyRelu, Add, Mul, Sum and Concat with at least two spatial axes,
    from the last to the first.
    Channels-last tensors (B, *spatial, F) are none: of a mean over those, what stood in front of the Transpose.
    """
    b = Builder(model)
    layout = Layout(b)
    kinds = ("Conv", "BatchNormalization", "InstanceNormalization", "Relu", "LeakyRelu", "Add", "Concat", "Mul", "Sum")
    needed, pooled, plain = {output}, [], []
    for node in reversed(b.forward):
        if not any(y in needed for y in node.output):
            continue
        needed.update(i for i in node.input if i)
        source = _pooled(b, layout, node)
        if source is not None and _is_map(b, layout, source):
            pooled.append(source)
        elif node.op_type in kinds and _is_map(b, layout, node.output[0]):
            plain.append(node.output[0])
    inputs = {i.name for i in b.graph.input}
    return [name for name in dict.fromkeys(pooled + plain) if name not in inputs]


def check_activation(model: onnx.ModelProto, activation: str) -> None:
    """Raises ModelError for a tensor that is known to be channels last: `gradcam` would take its features as space."""
    Layout(Builder(model)).check(activation)


def _pooled(b: Builder, layout: Layout, node: onnx.NodeProto) -> str | None:
    """The (B, F, *spatial) tensor that a node takes the mean of over all of space; None for other nodes."""
    if node.op_type == "GlobalAveragePool":
        return str(node.input[0])
    rank = b.rank_or_none(node.input[0]) if node.op_type == "ReduceMean" else None
    axes = None if rank is None else reduced_axes(b, node)
    if rank is None or axes is None or rank < 4:
        return None
    if axes == list(range(1, rank - 1)):
        return layout.origin.get(node.input[0])
    return str(node.input[0]) if axes == list(range(2, rank)) else None


def _is_map(b: Builder, layout: Layout, name: str) -> bool:
    if not b.is_float(name) or b.is_fixed(name) or layout.axis.get(name, 1) != 1:
        return False
    rank = b.rank_or_none(name)
    return rank is not None and rank >= 4 and any(d != 1 for d in b.shape(name)[2:])


def _activation_gradient(b: Builder, output: str, activation: str) -> tuple[list[int], str]:
    if b.knows(activation) and b.rank(activation) < 3:
        raise ModelError(
            f"activation {activation!r}: expected (batch, features, *spatial), found rank "
            f"{b.rank(activation)} {b.shape(activation)}"
        )
    Layout(b).check(activation)
    if b.knows(output):
        cotangent = b.add_input("cotangent", like=output)
    else:
        raise ModelError(f"output: the graph has no tensor {output!r}; its outputs are {sorted(b.outputs)}")
    gradients = backpropagate(b, output, cotangent, [activation])
    return list(range(2, b.rank(activation))), _per_feature(b, gradients[activation])


def _per_feature(b: Builder, gradient: str) -> str:
    """Behind a global mean the gradient is one number per feature: the Expand to the activation's size is taken back.

    Rules expand a tensor of the activation's rank whose other axes are 1, so what follows broadcasts or averages it
    to the same values, without a second tensor as large as the activation.
    """
    last = b.graph.node[-1]
    if last.op_type != "Expand" or last.output[0] != gradient:
        return gradient
    narrow = str(last.input[0])
    del b.graph.node[-1]
    return narrow


def _finish(b: Builder, weights: str, activation: str, relu: bool) -> onnx.ModelProto:
    cam = b.reduce("Sum", b.mul(weights, activation), [1], keepdims=False)
    if relu:
        cam = b.op("Relu", cam)
    dims = b.shape(activation)
    b.add_output(cam, "cam", b.elem_type(activation), [dims[0], *dims[2:]])
    return b.finish()
