"""CUDA twins under test: on a GPU through CuPy, and on the CPU in an emulation of the CUDA runtime.

The emulation (cpp/tests/cuda_emulation) compiles the same .cu files as C++ and runs them thread by thread. It says that
maths and indexing are right; it says nothing of a GPU's speed, nor of races between blocks.
"""

from __future__ import annotations

import ctypes
import dataclasses
import fcntl
import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
# Bytes before and after an emulated array that nobody may write; the address sanitizer has its own, closer ones.
GUARD = 0 if "libasan" in os.environ.get("LD_PRELOAD", "") else 64
OPS = (
    "resample", "resample_labels", "argmax_resample", "intensity_stats", "normalize",
    "layer_reduce", "layer_weights", "layer_compose",
)  # fmt: skip
USERS = ("", "._device", "._intensity", "._layers", "._native", "._resampling")  # of layer_fast.ops, that hold `core`


class EmulatedArray:
    """An array of the emulated device: memory of the host, shown as CUDA's alone, between guard bytes."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.memory = np.full(array.nbytes + 2 * GUARD, 0x5A, np.uint8)
        self.host = self.memory[GUARD : GUARD + array.nbytes].view(array.dtype).reshape(array.shape)
        self.host[...] = array
        self.device = SimpleNamespace(id=0)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        address = self.host.__array_interface__["data"][0]
        return {"shape": self.host.shape, "typestr": self.host.dtype.str, "data": (address, False), "version": 3}

    @property
    def shape(self) -> tuple[int, ...]:
        return self.host.shape

    def __array_namespace__(self) -> Any:
        names = {name: name for name in ("bool", "uint8", "int16", "uint16", "int32", "int64", "float32", "float64")}
        return SimpleNamespace(empty=empty, ascontiguousarray=lambda array: array, **names)

    def __getitem__(self, key: Any) -> EmulatedArray:
        part = EmulatedArray.__new__(EmulatedArray)
        part.memory, part.device, part.host = self.memory, self.device, self.host[key]
        return part

    def astype(self, dtype: str) -> EmulatedArray:
        return EmulatedArray(self.host.astype(dtype))

    def max(self) -> Any:
        return self.host.max()

    def get(self) -> NDArray[Any]:
        """A copy on the CPU (CuPy's name); AssertionError where a guard byte was written."""
        edges = self.memory[:GUARD], self.memory[len(self.memory) - GUARD :]
        assert all((edge == 0x5A).all() for edge in edges), "written out of bounds"
        return self.host.copy()


def empty(shape: tuple[int, ...], dtype: str, device: Any) -> EmulatedArray:
    """New memory holds 0xff: NaN or -1 where a kernel has not written."""
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return EmulatedArray(np.full(count, 0xFF, np.uint8).view(dtype).reshape(shape))


@functools.cache
def emulated_core() -> ModuleType | str:
    """The native module with emulated twins, built once into build/emulated; or the reason why it is not there."""
    absent = [tool for tool in ("cmake", "c++") if shutil.which(tool) is None]
    if importlib.util.find_spec("pybind11") is None:
        absent.append("pybind11")
    if absent:
        return f"the emulation of CUDA was not built: no {' and no '.join(absent)}"
    build = ROOT / "build" / "emulated"
    build.mkdir(parents=True, exist_ok=True)
    with (build / ".lock").open("w") as lock:  # workers of one test run build it once
        fcntl.flock(lock, fcntl.LOCK_EX)
        _built(build)
    path = next(build.glob("cpp/_core*.so"))
    loader = ExtensionFileLoader("emulated._core", str(path))
    spec = importlib.util.spec_from_file_location("emulated._core", path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def _built(build: Path) -> None:
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    options = ["-DLAYER_FAST_CUDA=EMULATED", "-DLAYER_FAST_ISAS=generic", f"-DPython_EXECUTABLE={sys.executable}"]
    configure = ["cmake", "-S", str(ROOT), "-B", str(build), *generator, *options]
    if (build / "CMakeCache.txt").exists():
        configure = ["cmake", *options, str(build)]
    for command in (configure, ["cmake", "--build", str(build), "-j2", "--target", "_core"]):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


def launches(core: ModuleType) -> int:
    """How many kernels the emulation has launched in this process."""
    count = ctypes.CDLL(str(core.__file__)).layer_fast_emulated_launches
    count.restype = ctypes.c_int64
    return int(count())


def use_emulation(monkeypatch: Any, core: ModuleType) -> None:
    """layer_fast.ops with the emulated module in place of its own."""
    for name in USERS:
        monkeypatch.setattr(f"layer_fast.ops{name}.core", core)


def on_device(op: Callable[..., Any], to_device: Callable[[NDArray[Any]], Any]) -> Callable[..., Any]:
    """The op with NumPy in and out, carried out on arrays of a device."""

    def moved(value: Any) -> Any:
        return to_device(value) if isinstance(value, np.ndarray) else value

    @functools.wraps(op)
    def called(*args: Any, **named: Any) -> Any:
        here = {key: named[key] for key in ("grid_map",) if key in named}  # a matrix of the host
        there = {key: moved(value) for key, value in named.items() if key not in here}
        result = op(*(moved(arg) for arg in args), **there, **here)
        if isinstance(named.get("out"), np.ndarray):
            named["out"][...] = to_host(result)
            return named["out"]
        return to_host(result)

    return called


def to_host(result: Any) -> Any:
    """Arrays of a device, also those in a result's fields, as NumPy."""
    if hasattr(result, "__cuda_array_interface__"):
        return result.get()
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        fields = {field.name: to_host(getattr(result, field.name)) for field in dataclasses.fields(result)}
        return dataclasses.replace(result, **fields)
    return result
