"""Memory and streams of a GPU, from CuPy or from PyTorch, behind one small face. Nothing is copied unasked."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from . import cuda
from .reasons import Unusable, short

_log = logging.getLogger("layer_fast.engines")


class Stream(Protocol):
    """A stream of its own, not the default one: nothing waits for it unless told to."""

    pointer: int

    def active(self) -> AbstractContextManager[Any]:
        """Within it, the library works on this stream and takes memory for it."""
        ...

    def after_current(self) -> None:
        """What comes next here waits for what the library's current stream was given so far."""
        ...

    def before_current(self) -> None:
        """What the library's current stream is given next waits for what was given here so far."""
        ...

    def synchronize(self) -> None: ...

    def captured(self, call: Callable[[], None]) -> Callable[[], None]:
        """Record what `call` gives to this stream; calling the result gives it to the stream again."""
        ...


class DeviceLibrary(Protocol):
    """CuPy or PyTorch. memory_errors: what it raises where the GPU is full."""

    name: str
    memory_errors: tuple[type[BaseException], ...]

    def stream(self) -> Stream: ...

    def empty(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Any: ...

    def pinned(self, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Host memory that the GPU copies from and to without a detour."""
        ...

    def upload(self, pinned: NDArray[Any], device: Any, stream: Stream) -> None: ...

    def download(self, device: Any, pinned: NDArray[Any], stream: Stream) -> None: ...

    def contiguous(self, array: Any) -> Any: ...

    def free_bytes(self) -> int:
        """Memory of the GPU that nobody holds."""
        ...

    def wrapped(self, held: Any) -> Any:
        """An array over memory that an object with a CUDA array interface owns; it keeps the object alive."""
        ...

    def synchronize_current(self) -> None:
        """Wait on the host for the library's current stream."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """What an engine asks of an array on the GPU."""

    pointer: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    contiguous: bool

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * self.dtype.itemsize

    @classmethod
    def of(cls, array: Any) -> View:
        """From the CUDA array interface, which CuPy arrays and torch tensors have."""
        held = array.__cuda_array_interface__
        shape, dtype = tuple(held["shape"]), np.dtype(held["typestr"])
        strides = held.get("strides")
        return cls(int(held["data"][0]), shape, dtype, strides is None or _row_major(shape, strides, dtype.itemsize))


def library_of(arrays: Sequence[Any], label: str) -> DeviceLibrary | None:
    """The library of the arrays, None for NumPy. Raises EngineError where they are of several."""
    names = {_name(array) for array in arrays}
    if len(names) > 1:
        raise EngineError(f"{label}: expected arrays of one library, got {', '.join(sorted(names))}")
    name = names.pop() if names else "numpy"
    return None if name == "numpy" else _LIBRARIES[name]()


def any_library() -> DeviceLibrary:
    """CuPy where it works, else PyTorch with CUDA. Raises Unusable that says what is wrong with each."""
    wrong = []
    for name, make in _LIBRARIES.items():
        try:
            return make()
        except Unusable as error:
            wrong.append(f"{name}: {error}")
        except Exception as error:  # a library that finds its own CUDA broken raises one of many classes
            wrong.append(f"{name}: {type(error).__name__}: {short(error, 120)}")
    raise Unusable("no_arrays", why="; ".join(wrong))


def give_back_unused() -> None:
    """Empty the pools of CuPy and PyTorch, those of them that this process has loaded. What one of them holds unused
    the other, and TensorRT, cannot have; nor does the driver count it as free."""
    if cuda.driver().missing is not None:  # CuPy would raise
        return
    cupy = sys.modules.get("cupy")
    if cupy is not None:
        cupy.get_default_memory_pool().free_all_blocks()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def packed(library: DeviceLibrary, array: Any) -> Any:
    """The array, or a contiguous copy of it, which is said once per call."""
    if View.of(array).contiguous:
        return array
    _log.info("an array on the GPU is not contiguous and was copied: %s", View.of(array).shape)
    return library.contiguous(array)


def _row_major(shape: tuple[int, ...], strides: Sequence[int], size: int) -> bool:
    for n, stride in zip(reversed(shape), reversed(list(strides)), strict=True):
        if n > 1 and stride != size:
            return False
        size *= n
    return True


def _name(array: Any) -> str:
    if isinstance(array, np.ndarray):
        return "numpy"
    name = type(array).__module__.partition(".")[0]
    if name in _LIBRARIES and hasattr(array, "__cuda_array_interface__"):
        return name
    raise EngineError(f"expected a NumPy array, or a CuPy array or torch tensor on the GPU, got {type(array)}")


def _cupy() -> DeviceLibrary:
    from .device_cupy import CupyLibrary

    return CupyLibrary()


def _torch() -> DeviceLibrary:
    from .device_torch import TorchLibrary

    return TorchLibrary()


_LIBRARIES: dict[str, Callable[[], DeviceLibrary]] = {"cupy": _cupy, "torch": _torch}
