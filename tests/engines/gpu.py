"""A machine with an emulated GPU: driver, CuPy and TensorRT that record what they are asked."""

from __future__ import annotations

import importlib.machinery
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import fake_cupy
from fake_tensorrt import Fake
from layer_fast.engines import cuda, device_arrays
from layer_fast.engines.tensorrt import library, loaded

CARD = cuda.Gpu("NVIDIA Emulated 6000", (8, 6), 16 << 30)


@dataclass
class Emulated:
    machine: fake_cupy.Machine
    tensorrt: Fake
    cache: Path

    @property
    def cupy(self) -> object:
        return sys.modules["cupy"]


def emulate(
    monkeypatch: pytest.MonkeyPatch, cache: Path, *, rtx: bool = True, gpu: cuda.Gpu = CARD, version: str = ""
) -> Emulated:
    """Put the emulation in place for one test."""
    version = version or ("1.7.1" if rtx else "10.14.1")
    machine = fake_cupy.Machine()
    fake = Fake(machine, rtx=rtx, version=version)
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy.module(machine))
    name = "tensorrt_rtx" if rtx else "tensorrt"
    monkeypatch.setattr(library, "installed", lambda: name)
    module = fake.module()
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("layer_fast.engines.tensorrt.installed", lambda: name)
    monkeypatch.setattr("layer_fast.engines.tensorrt.installed_version", lambda: version)
    monkeypatch.setattr(cuda, "driver", lambda: cuda.Driver((13, 0), (gpu,), None))
    monkeypatch.setitem(device_arrays._LIBRARIES, "torch", device_arrays._LIBRARIES["torch"])
    monkeypatch.setenv("LAYER_FAST_CACHE", str(cache))
    loaded._SHARED.clear()
    return Emulated(machine, fake, cache)
