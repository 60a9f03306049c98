"""Registry of gradient rules, and what a rule sees of its node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from ..errors import ModelError
from .build import Builder

Gradients = Sequence[str | None]
Rule = Callable[[Builder, "Node", str], Gradients]
"""rule(builder, node, dy) appends nodes; returns the gradient of each input in order (None or short: none)."""

RULES: dict[str, Rule] = {}


def rule(*op_types: str) -> Callable[[Rule], Rule]:
    """Register a function as the rule of these operator types."""

    def register(function: Rule) -> Rule:
        for op_type in op_types:
            RULES[op_type] = function
        return function

    return register


@dataclass
class Node:
    """One forward node as its rule sees it. `active` holds the tensors that need a gradient."""

    proto: onnx.NodeProto
    builder: Builder
    active: frozenset[str] = frozenset()
    gradients: Gradients = ()
    """Gradient of every output; `dy` of the rule is the first."""

    @property
    def op(self) -> str:
        return str(self.proto.op_type)

    @property
    def inputs(self) -> list[str]:
        return list(self.proto.input)

    @property
    def outputs(self) -> list[str]:
        return list(self.proto.output)

    @property
    def x(self) -> str:
        return str(self.proto.input[0])

    @property
    def y(self) -> str:
        return str(self.proto.output[0])

    @property
    def label(self) -> str:
        return f"node {self.proto.name or self.y!r} ({self.op})"

    def has(self, i: int) -> bool:
        return i < len(self.proto.input) and bool(self.proto.input[i])

    def needs(self, i: int) -> bool:
        return self.has(i) and self.proto.input[i] in self.active

    def attr(self, name: str, default: Any = None) -> Any:
        for a in self.proto.attribute:
            if a.name == name:
                value = helper.get_attribute_value(a)
                return value.decode() if isinstance(value, bytes) else value
        return default

    def value(self, i: int) -> np.ndarray | None:
        """Constant value of input i; None where it is absent or computed."""
        return self.builder.value(self.proto.input[i]) if self.has(i) else None

    def constant(self, i: int, what: str) -> np.ndarray:
        """Constant value of input i; a computed one is refused by name."""
        value = self.value(i)
        if value is None:
            raise self.refuse(f"{what} (input {i}) is computed or missing, expected a constant")
        return value

    def own_weight(self, i: int) -> str:
        """Input i for a node that reads it in another layout than this one does: as a copy where it is square.

        OpenVINO (2026.4.1 at least) packs a weight for one of its readers and uses that for the others where the
        shapes happen to fit: wrong numbers, no error. Where they do not fit, it packs twice.
        """
        value = self.value(i)
        square = value is not None and value.ndim >= 2 and value.shape[0] == value.shape[1]
        return self.builder.const(value) if value is not None and square else self.inputs[i]

    def scalar(self, value: float) -> str:
        """A constant in the dtype of the node's output."""
        return self.builder.const(np.array(value, self.builder.dtype(self.y)))

    def array(self, value: np.ndarray) -> str:
        return self.builder.const(np.asarray(value).astype(self.builder.dtype(self.y)))

    def refuse(self, reason: str) -> ModelError:
        return ModelError(f"{self.label}: {reason}")
