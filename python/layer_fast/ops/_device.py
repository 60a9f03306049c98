"""Arrays on CUDA devices, of whatever library: described for the native side, made in the library that they came from.

No library is imported here. CuPy and PyTorch are used if an array is theirs; any other library is asked by its array
namespace (`__array_namespace__`, the array API standard).
"""

from __future__ import annotations

import copy
import math
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from layer_fast.errors import DeviceError
from layer_fast.ops._native import core


class DeviceArray:
    """A C-contiguous array on a CUDA device with the attributes of NumPy's that the ops read; `owner` is the caller's.

    The native side takes it by `__cuda_array_interface__` (version 3), without a stream: the op says on which it runs.
    """

    __slots__ = ("__cuda_array_interface__", "dtype", "owner", "shape", "writable")

    def __init__(self, owner: Any, op: str, name: str) -> None:
        described = interface_of(owner, op, name)
        self.owner = owner
        self.shape: tuple[int, ...] = tuple(int(n) for n in described["shape"])
        self.dtype = np.dtype(described["typestr"])
        address, read_only = described["data"]
        self.writable = not read_only
        self.__cuda_array_interface__ = {
            "shape": self.shape,
            "typestr": described["typestr"],
            "data": (int(address), bool(read_only)),
            "strides": None if self._dense(described.get("strides")) else described["strides"],
            "version": 3,
        }

    def _dense(self, strides: Any) -> bool:
        if strides is None or 0 in self.shape:
            return True
        dense = [math.prod(self.shape[a + 1 :]) * self.dtype.itemsize for a in range(self.ndim)]
        return all(n == 1 or s == d for n, s, d in zip(self.shape, strides, dense, strict=True))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def address(self) -> int:
        address: int = self.__cuda_array_interface__["data"][0]
        return address

    @property
    def strides(self) -> tuple[int, ...] | None:
        """In bytes; None: C-contiguous."""
        strides: tuple[int, ...] | None = self.__cuda_array_interface__["strides"]
        return strides

    @property
    def contiguous(self) -> bool:
        return self.strides is None

    def as_bytes(self) -> DeviceArray:
        """The same memory as uint8; for bool."""
        seen = copy.copy(self)
        seen.dtype = np.dtype(np.uint8)
        seen.__cuda_array_interface__ = {**self.__cuda_array_interface__, "typestr": "|u1"}
        return seen

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> DeviceArray:
        return DeviceArray(self.owner[key], "ops", "an array")

    @property
    def device(self) -> str:
        """ "cuda:0"; "cuda" where the library does not say which."""
        device = getattr(self.owner, "device", None)
        index = getattr(device, "index", None) if _torch_of(self.owner) else getattr(device, "id", None)
        return f"cuda:{index}" if isinstance(index, int) else "cuda"


def is_cuda(array: Any) -> bool:
    """Whether an array lives on a CUDA device. PyTorch's tensors on the CPU have no CUDA array interface."""
    if isinstance(array, DeviceArray):
        return True
    if _torch_of(array):
        return bool(array.is_cuda)
    if hasattr(array, "__cuda_array_interface__"):
        return True
    return hasattr(array, "__dlpack_device__") and int(array.__dlpack_device__()[0]) in (2, 13)


def interface_of(array: Any, op: str, name: str) -> dict[str, Any]:
    """The array's description; DeviceError where this build has no CUDA, TypeError where there is no description."""
    if core.cuda_kind == "none":
        raise DeviceError(f"[{op}] expected {name} on the CPU: this build has no CUDA, got an array on a CUDA device")
    try:
        described: dict[str, Any] = array.__cuda_array_interface__
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:  # gradients, or a dtype without a name there
        raise TypeError(f"[{op}] expected {name} with a CUDA array interface, got: {error}") from error
    return described


def compact(array: DeviceArray, op: str, name: str) -> DeviceArray:
    """The array itself, or a C-contiguous copy of its library's."""
    if array.contiguous:
        return array
    if _torch_of(array.owner):
        return DeviceArray(array.owner.contiguous(), op, name)
    if space := _namespace(array.owner):
        with _current(array.owner):
            return DeviceArray(space.ascontiguousarray(array.owner), op, name)
    raise ValueError(f"[{op}] expected {name} to be C-contiguous, got strides {array.strides}")


def empty(shape: tuple[int, ...], dtype: DTypeLike, like: DeviceArray, op: str) -> DeviceArray:
    """A new array of the library and on the device of `like`; ValueError where the library cannot be asked."""
    name = np.dtype(dtype).name
    if torch := _torch_of(like.owner):
        return DeviceArray(torch.empty(shape, dtype=getattr(torch, name), device=like.owner.device), op, "out")
    space = _namespace(like.owner)
    if space is None:
        kind = type(like.owner).__name__
        raise ValueError(f"[{op}] expected out: a library without an array namespace cannot make it, got {kind}")
    if _is_cupy(like.owner):
        with _current(like.owner):
            return DeviceArray(space.empty(shape, dtype=name), op, "out")
    return DeviceArray(space.empty(shape, dtype=getattr(space, name), device=like.owner.device), op, "out")


def current_stream(array: DeviceArray) -> int | None:
    """The stream that the array's library works on now, as a number (0: the default stream); None where it does not
    say, which by the interface means that there is nothing to wait for."""
    if torch := _torch_of(array.owner):
        return int(torch.cuda.current_stream(array.owner.device).cuda_stream)
    if _is_cupy(array.owner):
        with _current(array.owner):
            return int(sys.modules["cupy"].cuda.get_current_stream().ptr)
    said = getattr(array.owner, "__cuda_array_interface__", {}).get("stream")
    return None if said is None else 0 if said == 1 else int(said)  # 1: the interface's name of the default stream


def as_float32(array: DeviceArray, op: str, name: str) -> DeviceArray:
    """float16 as float32, which loses nothing."""
    owner = array.owner
    with _current(owner):
        return DeviceArray(owner.float() if _torch_of(owner) else owner.astype("float32"), op, name)


def overlap(a: DeviceArray, b: DeviceArray) -> bool:
    """Whether two contiguous arrays have bytes in common."""
    ends = [(x.address, x.address + x.size * x.dtype.itemsize) for x in (a, b)]
    return a.size > 0 and b.size > 0 and max(ends[0][0], ends[1][0]) < min(ends[0][1], ends[1][1])


def _torch_of(array: Any) -> Any:
    """The module `torch` if the array is a tensor, else None."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(array, torch.Tensor) else None


def _namespace(array: Any) -> Any:
    """The module that makes arrays of this kind; None where the library does not say."""
    if _is_cupy(array):
        return sys.modules["cupy"]
    return array.__array_namespace__() if hasattr(array, "__array_namespace__") else None


def _current(array: Any) -> AbstractContextManager[Any]:
    """Within it CuPy, which makes arrays and starts work on its current device, is on the array's."""
    held: AbstractContextManager[Any] = array.device if _is_cupy(array) else nullcontext()
    return held


def _is_cupy(array: Any) -> bool:
    return type(array).__module__.partition(".")[0] == "cupy"
