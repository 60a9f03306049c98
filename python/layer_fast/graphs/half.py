"""Half precision of a forward graph: fp16 weights and compute, everything that loses by it in fp32."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from .build import Builder
from .check import names

COMPUTE = names(
    "Add Clip Conv ConvTranspose Einsum Elu Gelu Gemm HardSigmoid HardSwish LeakyRelu MatMul Max Min Mul Neg PRelu",
    "Relu Resize Selu Sigmoid Sub Sum Tanh",
)
"""Computed in fp16. All other arithmetic (norms, reductions, means, softmax, exp, division) stays fp32."""

MOVEMENT = names(
    "Concat DepthToSpace Expand Flatten Gather Identity MaxPool Pad Reshape Slice SpaceToDepth Split Squeeze Tile",
    "Transpose Unsqueeze Where",
)
"""Moves or picks elements: done in the precision that its data has already."""

KEPT_INPUTS = {"Resize": (1, 2)}
LARGEST = float(np.finfo(np.float16).max)


def to_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """A strongly typed fp16 copy of a float32 model; inputs and outputs stay float32 under their names.

    Convolutions, matrix products and element-wise steps get fp16 weights and compute. Statistics of norms,
    reductions, softmax, exp and division stay float32, between Casts. Batch normalisation becomes one fp16
    multiplication and addition with factors worked out in float64. A constant too large for fp16 keeps its node in
    float32. Raises ModelError as `gradient` does for what it cannot read.
    """
    b = Builder(model)
    nodes = list(b.graph.node)
    del b.graph.node[:]
    del b.graph.value_info[:]
    halves = _Halves(b)
    for node in nodes:
        halves.convert(node)
    for info in b.graph.output:
        halves.full(info.name)
    return b.finish()


class _Halves:
    """Which tensors exist in fp16 (under another name) and which in fp32 (under their own)."""

    def __init__(self, b: Builder) -> None:
        self.b = b
        self.half_names: dict[str, str] = {}
        self.constants = {t.name for t in b.graph.initializer}
        self.full_names = {i.name for i in b.graph.input} | self.constants

    def convert(self, node: onnx.NodeProto) -> None:
        scaled = node.op_type == "BatchNormalization" and self._batch_norm(node)
        if scaled:
            return
        floats = [i for k, i in enumerate(node.input) if self._castable(node, k)]
        wanted = node.op_type in COMPUTE or (
            node.op_type in MOVEMENT and any(i in self.half_names and i not in self.full_names for i in floats)
        )
        if wanted and floats and not any(self._too_large(i) for i in floats):
            self._append_half(node)
            return
        for name in self._read(node):
            self.full(name)
        self.b.graph.node.append(node)
        self.full_names.update(node.output)

    def full(self, name: str) -> None:
        """Make the fp32 tensor of this name exist."""
        if name in self.half_names and name not in self.full_names:
            half = self.half_names[name]
            self.b.graph.node.append(
                helper.make_node("Cast", [half], [name], name=self.b.fresh("cast"), to=TensorProto.FLOAT)
            )
            self.full_names.add(name)

    def half(self, name: str) -> str:
        """Name of the fp16 version of a tensor; a constant is rounded here, anything else by one Cast."""
        if name not in self.half_names:
            value = self.b.value(name) if name in self.constants else None
            if value is not None:
                self.half_names[name] = self.b.const(value.astype(np.float16))
            else:
                self.half_names[name] = self.b.op("Cast", name, to=TensorProto.FLOAT16)
        return self.half_names[name]

    def _append_half(self, node: onnx.NodeProto) -> None:
        inputs = [self.half(i) if self._castable(node, k) else i for k, i in enumerate(node.input)]
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = inputs
        for k, y in enumerate(node.output):
            if y and self.b.elem_type(y) == TensorProto.FLOAT:
                self.half_names[y] = copy.output[k] = self.b.fresh("half")
        self.b.graph.node.append(copy)

    def _batch_norm(self, node: onnx.NodeProto) -> bool:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        values = [self.b.value(i) for i in node.input[1:5]]
        if any(v is None for v in values) or attributes.get("training_mode", 0):
            return False
        scale, bias, mean, variance = (np.asarray(v, np.float64) for v in values)
        factor = scale / np.sqrt(variance + attributes.get("epsilon", 1e-5))
        shift = bias - mean * factor
        if max(np.abs(factor).max(), np.abs(shift).max()) > LARGEST:
            return False
        shape = (1, -1, *[1] * (self.b.rank(node.input[0]) - 2))
        constants = [self.b.const(v.reshape(shape).astype(np.float16)) for v in (factor, shift)]
        product = self.b.op("Mul", self.half(node.input[0]), constants[0])
        self.half_names[node.output[0]] = self.b.op("Add", product, constants[1])
        return True

    def _castable(self, node: onnx.NodeProto, k: int) -> bool:
        name = node.input[k]
        if not name or k in KEPT_INPUTS.get(node.op_type, ()):
            return False
        return self.b.elem_type(name) == TensorProto.FLOAT

    def _too_large(self, name: str) -> bool:
        value = self.b.value(name) if name in self.constants and name not in self.half_names else None
        return value is not None and value.size > 0 and bool(np.abs(value).max() > LARGEST)

    @staticmethod
    def _read(node: onnx.NodeProto) -> list[str]:
        return [i for i in node.input if i]
