"""Maps of all classes at once, for a classifier that ends in a global mean and one linear layer."""

from __future__ import annotations

import numpy as np
import onnx

from ..errors import ModelError
from .autodiff import find_path
from .build import Builder
from .rules import Node
from .shapes import spatial_count

PASSING = ("Flatten", "Reshape", "Squeeze", "Dropout", "Identity")


def class_maps(model: onnx.ModelProto, output: str = "logits", activation: str = "features") -> onnx.ModelProto:
    """Grad-CAM of every class in one forward pass (the class activation maps of Zhou et al. 2016).

    New output `cams` (B, K, *spatial): map k equals `cam` of `gradcam` with a one-hot cotangent of class k, since the
    gradient of logit k by feature f is weight[k, f] / number of voxels everywhere. No cotangent, no backward pass.
    Raises ModelError where anything but a mean over all spatial axes and one linear layer leads from `activation`
    (B, F, *spatial) to `output`.
    """
    b = Builder(model)
    nodes, _ = find_path(b, output, [activation])
    rank, features = b.rank(activation), b.shape(activation)[1]
    if not nodes or not _is_global_mean(b, nodes[0], activation):
        raise ModelError(f"activation {activation!r}: expected a mean over its spatial axes next, found "
                         f"{nodes[0].label if nodes else 'no node'}")  # fmt: skip
    rest = [n for n in nodes[1:] if n.op not in PASSING]
    kinds = [n.op for n in rest]
    if kinds not in (["Gemm"], ["MatMul"], ["MatMul", "Add"]):
        raise ModelError(f"output {output!r}: expected one linear layer after the mean, found {kinds}")
    weight = _weight(rest[0])
    if weight.ndim != 2 or weight.shape[1] != features:
        raise rest[0].refuse(f"weight of shape {weight.shape}, expected (classes, {features})")
    kernel = b.const(weight.reshape(*weight.shape, *[1] * (rank - 2)))
    count = spatial_count(b, activation, range(2, rank), activation)
    maps = b.div(b.op("Conv", activation, kernel, kernel_shape=[1] * (rank - 2)), count)
    dims = b.shape(activation)
    b.add_output(maps, "cams", b.elem_type(activation), [dims[0], weight.shape[0], *dims[2:]])
    return b.finish()


def _is_global_mean(b: Builder, node: Node, activation: str) -> bool:
    if node.op == "GlobalAveragePool":
        return True
    if node.op != "ReduceMean" or node.x != activation:
        return False
    axes = node.attr("axes") or (node.constant(1, "axes").tolist() if node.has(1) else [])
    rank = b.rank(activation)
    return sorted(a % rank for a in axes) == list(range(2, rank))


def _weight(node: Node) -> np.ndarray:
    """(classes, features) of a linear layer, its factor included."""
    weight = node.constant(1, "weight")
    if node.op == "MatMul":
        return weight.T
    if node.attr("transA", 0):
        raise node.refuse("transposed data, expected (batch, features)")
    weight = weight if node.attr("transB", 0) else weight.T
    return np.asarray(weight * weight.dtype.type(node.attr("alpha", 1.0)))
