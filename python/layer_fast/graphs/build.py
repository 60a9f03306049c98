"""A model under extension: what is known about its tensors, and nodes appended to it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..errors import ModelError
from .check import check_model
from .constants import evaluate
from .prepare import prepare

Dim = int | str | None
"""One dimension as the file states it: a number, a symbol, or unknown."""
Extent = int | str
"""One dimension as a rule uses it: a number, or the name of an int64 tensor of one element."""
OWN = "lf_"
"""How the names of appended nodes and tensors begin."""
END = 2**31 - 1
"""Slice end that means "to the last element" (fits the 32-bit shape arithmetic of TensorRT)."""


class Builder:
    """Holds a private copy of the model; `op` appends one node and returns the name of its output."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = prepare(model)
        self.graph = self.model.graph
        self.opset = next(o.version for o in self.model.opset_import if o.domain in ("", "ai.onnx"))
        self.forward = list(self.graph.node)
        self.outputs = {o.name for o in self.graph.output}
        self._initializers = {t.name: t for t in self.graph.initializer}
        self._producers = {name: node for node in self.forward for name in node.output if name}
        self._types = _tensor_types(self.graph)
        self._names = set(self._types) | set(self._initializers) | set(self._producers) | {n.name for n in self.forward}
        self._fixed = self._fixed_tensors()
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._cache: dict[tuple[Any, ...], str] = {}
        self._values: dict[str, np.ndarray | None] = {}
        self._counter = 0

    # what is known

    def knows(self, name: str) -> bool:
        return name in self._types

    def elem_type(self, name: str) -> int:
        if name not in self._types:
            raise ModelError(f"tensor {name!r}: its type is unknown after shape inference")
        return self._types[name][0]

    def dtype(self, name: str) -> np.dtype[Any]:
        return np.dtype(helper.tensor_dtype_to_np_dtype(self.elem_type(name)))

    def is_float(self, name: str) -> bool:
        kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16)
        return name in self._types and self._types[name][0] in kinds

    def shape(self, name: str) -> tuple[Dim, ...]:
        """Dimensions of a forward tensor; a ModelError where even the rank is unknown."""
        dims = self._types[name][1] if name in self._types else None
        if dims is None:
            raise ModelError(f"tensor {name!r}: its rank is unknown after shape inference")
        return dims

    def rank(self, name: str) -> int:
        return len(self.shape(name))

    def rank_or_none(self, name: str) -> int | None:
        """None where a tensor or its rank is unknown."""
        dims = self._types.get(name, (0, None))[1]
        return None if dims is None else len(dims)

    def is_fixed(self, name: str) -> bool:
        """Whether a tensor follows from initializers and fixed shapes alone; computes nothing."""
        return name in self._fixed

    def value(self, name: str) -> np.ndarray | None:
        """The constant behind a name: an initializer, or what follows from constants alone; else None."""
        if name in self._initializers:
            return numpy_helper.to_array(self._initializers[name])
        if name not in self._fixed:
            return None
        if name not in self._values:
            self._values[name] = self._fold(name)
        return self._values[name]

    def _fold(self, name: str) -> np.ndarray | None:
        node = self._producers[name]
        if node.op_type == "Shape":
            bounds = {a.name: a.i for a in node.attribute}
            dims = self.shape(node.input[0])
            return np.array(dims, np.int64)[bounds.get("start", 0) : bounds.get("end", len(dims))]
        inputs = {i: self.value(i) for i in node.input if i}
        known = {k: v for k, v in inputs.items() if v is not None}
        return evaluate(node, known, self.model, list(node.output).index(name)) if len(known) == len(inputs) else None

    def _fixed_tensors(self) -> set[str]:
        """Tensors that follow from initializers and fixed shapes alone."""
        fixed = set(self._initializers)
        for node in self.forward:
            if node.op_type.startswith(("Random", "Bernoulli", "Multinomial")):
                continue
            if node.op_type == "Shape":
                dims = self._types.get(node.input[0], (0, None))[1]
                follows = dims is not None and all(isinstance(d, int) for d in dims)
            else:
                follows = any(node.input) and all(i in fixed for i in node.input if i)
            if follows:
                fixed.update(node.output)
        return fixed

    # nodes and constants

    def fresh(self, stem: str) -> str:
        while True:
            self._counter += 1
            name = f"{OWN}{stem}_{self._counter}"
            if name not in self._names:
                self._names.add(name)
                return name

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        name = self.fresh(op_type)
        attributes = {k: v for k, v in attributes.items() if v is not None}
        self.graph.node.append(helper.make_node(op_type, list(inputs), [name], name=name, **attributes))
        return name

    def const(self, array: np.ndarray) -> str:
        """An initializer with this value; equal ones are stored once."""
        array = np.ascontiguousarray(array).reshape(np.shape(array))
        key = (str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).digest())
        if key not in self._constants:
            name = self.fresh("const")
            self.graph.initializer.append(numpy_helper.from_array(array, name))
            self._constants[key] = name
        return self._constants[key]

    def ints(self, values: Sequence[int]) -> str:
        return self.const(np.array(values, np.int64))

    def add(self, a: str, b: str) -> str:
        return self.op("Add", a, b)

    def sub(self, a: str, b: str) -> str:
        return self.op("Sub", a, b)

    def mul(self, a: str, b: str) -> str:
        return self.op("Mul", a, b)

    def div(self, a: str, b: str) -> str:
        return self.op("Div", a, b)

    def where(self, condition: str, a: str, b: str) -> str:
        return self.op("Where", condition, a, b)

    def reduce(self, kind: str, x: str, axes: Sequence[int], keepdims: bool = True) -> str:
        """Reduce{kind} over the axes, of which there is at least one (an operator without any would take all); from
        opset 18 (Sum: 13) axes are an input, before an attribute."""
        if kind == "Sum" or self.opset >= 18:
            return self.op(f"Reduce{kind}", x, self.ints(axes), keepdims=int(keepdims))
        return self.op(f"Reduce{kind}", x, axes=list(axes), keepdims=int(keepdims))

    def cached(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        key = (op_type, inputs, tuple(sorted(attributes.items())))
        if key not in self._cache:
            self._cache[key] = self.op(op_type, *inputs, **attributes)
        return self._cache[key]

    # inputs, outputs

    def claim(self, name: str) -> str:
        if name in self._names:
            raise ModelError(f"graph has a tensor {name!r} already; rename it, the new graph needs this name")
        self._names.add(name)
        return name

    def add_input(self, name: str, like: str) -> str:
        info = helper.make_tensor_value_info(self.claim(name), self.elem_type(like), self.shape(like))
        self.graph.input.append(info)
        return name

    def add_output(self, tensor: str, name: str, elem_type: int, shape: Sequence[Dim]) -> None:
        self.claim(name)
        self.graph.node.append(helper.make_node("Identity", [tensor], [name], name=f"{OWN}output_{name}"))
        self.graph.output.append(helper.make_tensor_value_info(name, elem_type, list(shape)))

    def _drop_unused(self) -> None:
        used = {o.name for o in self.graph.output}
        kept = []
        for node in reversed(self.graph.node):
            if not node.name.startswith(OWN) or any(y in used for y in node.output):
                kept.append(node)
                used.update(node.input)
        if len(kept) < len(self.graph.node):
            kept.reverse()
            del self.graph.node[:]
            self.graph.node.extend(kept)

    def finish(self) -> onnx.ModelProto:
        """The checked model. Appended nodes and initializers that nothing uses are left out."""
        self._drop_unused()
        used = {i for n in self.graph.node for i in n.input} | {o.name for o in self.graph.output}
        kept = [t for t in self.graph.initializer if t.name in used]
        if len(kept) < len(self.graph.initializer):
            del self.graph.initializer[:]
            self.graph.initializer.extend(kept)
        check_model(self.model)
        return self.model


def _tensor_types(graph: onnx.GraphProto) -> dict[str, tuple[int, tuple[Dim, ...] | None]]:
    types: dict[str, tuple[int, tuple[Dim, ...] | None]] = {}
    for info in [*graph.value_info, *graph.output, *graph.input]:
        tensor = info.type.tensor_type
        if not info.type.HasField("tensor_type") or not tensor.elem_type:
            continue
        dims = tuple(_dim(d) for d in tensor.shape.dim) if tensor.HasField("shape") else None
        types[info.name] = (tensor.elem_type, dims)
    for t in graph.initializer:
        types[t.name] = (t.data_type, tuple(t.dims))
    return types


def _dim(d: onnx.TensorShapeProto.Dimension) -> Dim:
    return int(d.dim_value) if d.HasField("dim_value") else (d.dim_param or None)
