"""The NVIDIA driver and its GPUs, asked through libcuda itself: no further library, and no context is made."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

from .reasons import Unusable

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR


@dataclass(frozen=True, slots=True)
class Gpu:
    """name as the driver gives it; compute_capability (major, minor); memory in bytes."""

    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int

    @property
    def capability(self) -> str:
        return "{}.{}".format(*self.compute_capability)


@dataclass(frozen=True, slots=True)
class Driver:
    """cuda: the newest CUDA that the driver serves, (major, minor). missing: why there is no GPU, else None."""

    cuda: tuple[int, int]
    gpus: tuple[Gpu, ...]
    missing: Unusable | None


@cache
def driver() -> Driver:
    """The driver and the GPUs that CUDA_VISIBLE_DEVICES leaves, asked once per process. Never raises.

    As with every use of CUDA, a process that asked must not fork children that use the GPU: spawn them.
    """
    return ask(_load)


def first_gpu() -> Gpu:
    """The GPU that engines of this process use. Raises Unusable: no driver, no GPU."""
    found = driver()
    if found.missing is not None:
        raise copy(found.missing)  # one that is raised keeps the frames it went through, and this one is kept for ever
    return found.gpus[0]


def ask(load: Callable[[], Any]) -> Driver:
    """As `driver`, from the library that `load` gives."""
    try:
        library = load()
    except OSError:
        return Driver((0, 0), (), Unusable("no_driver"))
    count = ctypes.c_int(0)
    try:
        _call(library.cuInit, 0)
        _call(library.cuDeviceGetCount, ctypes.byref(count))
        if count.value == 0:
            raise Unusable("no_gpu", why="it counts 0 devices")
        return Driver(_version(library), tuple(_gpu(library, i) for i in range(count.value)), None)
    except Unusable as error:
        return Driver(_version(library), (), copy(error))


def _call(function: Any, *arguments: Any) -> None:
    if (status := function(*arguments)) != 0:
        raise Unusable("no_gpu", why=f"{function.__name__} gives error {status}")


def _load() -> Any:
    return ctypes.CDLL("libcuda.so.1")


def _version(library: Any) -> tuple[int, int]:
    found = ctypes.c_int(0)
    library.cuDriverGetVersion(ctypes.byref(found))
    return found.value // 1000, found.value % 1000 // 10


def _gpu(library: Any, index: int) -> Gpu:
    device, value, memory = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_size_t(0)
    name = ctypes.create_string_buffer(256)
    _call(library.cuDeviceGet, ctypes.byref(device), index)
    _call(library.cuDeviceGetName, name, len(name), device)
    _call(library.cuDeviceTotalMem_v2, ctypes.byref(memory), device)
    numbers = []
    for attribute in (_MAJOR, _MINOR):
        _call(library.cuDeviceGetAttribute, ctypes.byref(value), attribute, device)
        numbers.append(value.value)
    return Gpu(name.value.decode("utf-8", "replace"), (numbers[0], numbers[1]), memory.value)
