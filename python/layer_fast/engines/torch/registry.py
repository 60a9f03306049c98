"""One torch function per ONNX operator: the registry, and what an operator may ask of its node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from onnx import TensorProto

from ...errors import EngineError

Tensor = Any  # torch ships types, but checking them takes minutes
Function = Callable[..., Any]

DTYPES: dict[int, Any] = {
    TensorProto.FLOAT: torch.float32, TensorProto.DOUBLE: torch.float64, TensorProto.FLOAT16: torch.float16,
    TensorProto.BFLOAT16: torch.bfloat16, TensorProto.INT8: torch.int8, TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32, TensorProto.INT64: torch.int64, TensorProto.UINT8: torch.uint8,
    TensorProto.BOOL: torch.bool,
}  # fmt: skip
"""Element types that the engine takes. Unsigned types of 16 bits and more have hardly any arithmetic in torch."""


@dataclass(frozen=True, slots=True)
class Op:
    """An operator. attributes: those it knows, any other is refused. host: inputs that it reads as Python numbers."""

    function: Function
    attributes: frozenset[str]
    host: frozenset[int]


OPS: dict[str, Op] = {}


def op(name: str, attributes: str = "", host: tuple[int, ...] = ()) -> Callable[[Function], Function]:
    """Register `function(node, *inputs) -> tensor or tuple of tensors`; a missing optional input is None."""

    def register(function: Function) -> Function:
        OPS[name] = Op(function, frozenset(attributes.split()), frozenset(host))
        return function

    return register


@dataclass(frozen=True)
class Node:
    """What an operator knows of its place in the graph: attributes, opset, number of outputs, device, types."""

    op: str
    label: str
    attributes: dict[str, Any]
    opset: int
    outputs: int
    device: Any
    dtype: Any = None  # torch dtype that stands for every floating type, or None
    kept: dict[Any, Any] = field(default_factory=dict)  # what an operator works out once and uses in every call

    def attr(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)

    def kind(self, element_type: int) -> Any:
        """The torch dtype of an ONNX element type."""
        if element_type not in DTYPES:
            raise self.refuse(f"element type {TensorProto.DataType.Name(element_type)} is not supported")
        return self.real(DTYPES[element_type])

    def real(self, dtype: Any) -> Any:
        """`dtype`, or what stands for it where the whole graph runs in another floating type."""
        return self.dtype if self.dtype is not None and dtype.is_floating_point else dtype

    def refuse(self, why: str) -> EngineError:
        return EngineError(f"{self.label}: {why}")


def axis_of(axis: int, rank: int) -> int:
    """A negative axis counted from the end."""
    return axis + rank if axis < 0 else axis


def by_axis(values: Tensor, axis: int, rank: int) -> Tensor:
    """A vector shaped so that it broadcasts along one axis of a tensor of this rank."""
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)
