"""A graph as a list of steps: loaded once, constants worked out, run for the outputs that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from ...errors import EngineError
from ...graphs.check import OPSETS
from .registry import DTYPES, OPS, Node, Op, Tensor

_FOLD_LIMIT = 1 << 20  # elements of a constant that is worked out at load
_HOST_LIMIT = 64  # whole-number tensors up to this size are shapes more often than data and stay with the CPU


@dataclass(frozen=True, slots=True)
class Step:
    """One node: `op.function(node, *inputs)`; inputs and outputs are tensor names, "" for one left out."""

    op: Op
    node: Node
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps that certain outputs need, and the tensors to drop after each."""

    steps: tuple[Step, ...]
    drops: tuple[tuple[str, ...], ...]


class Program:
    """The nodes of a model with its constants on a device. dtype: what stands for every floating type, or None."""

    def __init__(self, model: onnx.ModelProto, label: str, device: Any, dtype: Any) -> None:
        self.label, self.device, self.dtype = label, device, dtype
        opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
        if not OPSETS[0] <= opset <= OPSETS[1]:
            raise EngineError(f"{label}: expected opset {OPSETS[0]} to {OPSETS[1]}, found {opset}")
        made = [self._step(proto, opset) for proto in model.graph.node]
        self._numbers = {name for s in made for k, name in enumerate(s.inputs) if k in s.op.host}
        self.constants: dict[str, Tensor] = {}
        for tensor in model.graph.initializer:
            value = self._tensor(numpy_helper.to_array(tensor), tensor.name)
            self.constants[tensor.name] = self._place(tensor.name, value)
        self.steps: list[Step] = []
        with torch.inference_mode():
            for step in made:
                self._take(step)
        read = {name for step in self.steps for name in step.inputs} | {o.name for o in model.graph.output}
        self.constants = {name: t for name, t in self.constants.items() if name in read}
        self._plans: dict[tuple[str, ...], Plan] = {}

    def run(self, values: dict[str, Tensor], outputs: tuple[str, ...]) -> list[Tensor]:
        """Run on tensors that lie on the device already. `values` is used up."""
        plan = self._plans.get(outputs) or self._plan(outputs)
        with torch.inference_mode():
            for step, drops in zip(plan.steps, plan.drops, strict=True):
                self._run_step(step, values)
                for name in drops:
                    values.pop(name, None)
        return [values[n] if n in values else self.constants[n] for n in outputs]

    def _run_step(self, step: Step, values: dict[str, Tensor]) -> None:
        found = [None if not n else values[n] if n in values else self.constants[n] for n in step.inputs]
        if self.device.type != "cpu":
            found = self._gathered(step, found)
        try:
            result = step.op.function(step.node, *found)
        except (EngineError, torch.cuda.OutOfMemoryError):
            raise
        except Exception as error:  # torch raises several unrelated classes
            shapes = ", ".join("none" if t is None else f"{t.dtype}{list(t.shape)}" for t in found)
            raise EngineError(f"{step.node.label}: {' '.join(str(error).split())[:300]}; got {shapes}") from error
        results = result if isinstance(result, tuple | list) else (result,)
        if len(results) < len(step.outputs):
            raise step.node.refuse(f"expected at most {len(results)} outputs, found {len(step.outputs)}")
        for name, tensor in zip(step.outputs, results, strict=False):
            if name:
                values[name] = tensor

    def _gathered(self, step: Step, found: list[Tensor]) -> list[Tensor]:
        """Shapes and other numbers to the CPU, data that meets data of the device to the device."""
        host = step.op.host
        on_device = any(t is not None and k not in host and t.device != torch.device("cpu")
                        for k, t in enumerate(found))  # fmt: skip
        return [
            t if t is None else t.cpu() if k in host else t.to(self.device) if on_device else t
            for k, t in enumerate(found)
        ]

    def _step(self, proto: onnx.NodeProto, opset: int) -> Step:
        label = f"{self.label}: node {proto.name or (proto.output[0] if proto.output else '')!r} ({proto.op_type})"
        if proto.domain not in ("", "ai.onnx") or proto.op_type not in OPS:
            raise EngineError(f"{label}: the torch engine has no function for this operator")
        known = OPS[proto.op_type]
        attributes = {a.name: _value(a) for a in proto.attribute}
        for name in attributes:
            if name not in known.attributes:
                raise EngineError(f"{label}: attribute {name!r} is not supported")
        outputs = list(proto.output)
        while outputs and not outputs[-1]:
            outputs.pop()
        node = Node(proto.op_type, label, attributes, opset, len(outputs), self.device, self.dtype)
        if proto.op_type == "Cast":
            node.kind(attributes["to"])  # an element type that is not there is refused now, not in the first run
        return Step(known, node, tuple(proto.input), tuple(outputs))

    def _take(self, step: Step) -> None:
        """Keep a step, or run it now where all it reads is constant."""
        if all(not name or name in self.constants for name in step.inputs):
            made: dict[str, Tensor] = {}
            self._run_step(step, made)
            if all(t.numel() <= _FOLD_LIMIT for t in made.values()):
                self.constants |= {name: self._place(name, t) for name, t in made.items()}
                return
        self.steps.append(step)

    def _plan(self, outputs: tuple[str, ...]) -> Plan:
        needed, steps = set(outputs), []
        for step in reversed(self.steps):
            if any(name in needed for name in step.outputs):
                steps.append(step)
                needed.update(step.inputs)
        seen = set(outputs)
        drops = []
        for step in steps:  # from the last to the first: a tensor met for the first time is used there for the last
            last = [name for name in (*step.inputs, *step.outputs) if name and name not in seen]
            seen.update(last)
            drops.append(tuple(last))
        plan = self._plans[outputs] = Plan(tuple(reversed(steps)), tuple(reversed(drops)))
        return plan

    def _tensor(self, array: np.ndarray, name: str) -> Tensor:
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        if kind not in DTYPES:
            raise EngineError(f"{self.label}: initializer {name!r}: element type {array.dtype} is not supported")
        return as_tensor(array)

    def _place(self, name: str, tensor: Tensor) -> Tensor:
        """Constants where they are read: numbers that an operator reads in Python, and shapes, with the CPU."""
        if tensor.dtype.is_floating_point:
            tensor = tensor.to(self.dtype or tensor.dtype)
        elif tensor.numel() <= _HOST_LIMIT:
            return tensor
        return tensor if name in self._numbers else tensor.to(self.device)


def as_tensor(array: np.ndarray) -> Tensor:
    """A tensor with a copy of the array's numbers; bfloat16 arrives as a type that torch cannot read."""
    array = np.array(array, order="C")
    if array.dtype == onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16):
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _value(attribute: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, onnx.TensorProto):
        return as_tensor(numpy_helper.to_array(value))
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
