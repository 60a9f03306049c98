"""The native operations on emulated device arrays: what a CUDA twin takes and gives, computed by the CPU twin."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fake_cupy import Machine, ndarray
from layer_fast import ops
from layer_fast.errors import DeviceError

HOST_ONLY = ("grid_map",)
TWINS = ("resample", "resample_labels", "argmax_resample", "intensity_stats", "layer_reduce", "layer_compose")


def twin(name: str, op: Callable[..., Any], machine: Machine) -> Callable[..., Any]:
    """The op for arrays of one place; a mixture is refused, as the real one refuses it."""

    def called(*args: Any, **named: Any) -> Any:
        arrays = [a for a in (*args, *(v for k, v in named.items() if k not in HOST_ONLY)) if hasattr(a, "shape")]
        there = [isinstance(a, ndarray) for a in arrays]
        if not any(there):
            return op(*args, **named)
        if not all(there):
            raise DeviceError(f"[{name}] expected arrays on one device")
        machine.events.append(f"{name} on {machine.current[-1].ptr:#x}")
        result = op(*map(_bare, args), **{key: _bare(value) for key, value in named.items()})
        if named.get("out") is not None:
            return named["out"]
        return result if name == "intensity_stats" else _placed(result, machine)

    return called


def _bare(value: Any) -> Any:
    return value._held if isinstance(value, ndarray) else value


def _placed(result: Any, machine: Machine) -> Any:
    if isinstance(result, np.ndarray):
        return ndarray(result, machine)
    found = {field.name: getattr(result, field.name) for field in dataclasses.fields(result)}
    return dataclasses.replace(result, **{k: _placed(v, machine) for k, v in found.items() if hasattr(v, "shape")})


def use(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    """`layer_fast.ops` as a build with CUDA twins."""
    for name in TWINS:
        monkeypatch.setattr(ops, name, twin(name, getattr(ops, name), machine))
    told = {**ops.build_info(), "cuda_devices": ["emulated"], "cuda_emulated": True}
    monkeypatch.setattr(ops, "build_info", lambda: told)
