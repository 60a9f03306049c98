"""GPU memory, streams and captured work by CuPy. Its pool keeps what is freed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .reasons import Unusable


class CupyStream:
    """See device_arrays.Stream."""

    def __init__(self, cupy: Any) -> None:
        self._cupy, self._stream = cupy, cupy.cuda.Stream(non_blocking=True)
        self.pointer = int(self._stream.ptr)

    def active(self) -> AbstractContextManager[Any]:
        held: AbstractContextManager[Any] = self._stream
        return held

    def after_current(self) -> None:
        current = self._cupy.cuda.get_current_stream()
        if int(current.ptr) != self.pointer:
            self._stream.wait_event(current.record())

    def before_current(self) -> None:
        current = self._cupy.cuda.get_current_stream()
        if int(current.ptr) != self.pointer:
            current.wait_event(self._stream.record())

    def synchronize(self) -> None:
        self._stream.synchronize()

    def captured(self, call: Callable[[], None]) -> Callable[[], None]:
        with self._stream:
            self._stream.begin_capture()
            try:
                call()
            finally:
                graph = self._stream.end_capture()
        return lambda: graph.launch(stream=self._stream)


class CupyLibrary:
    """See device_arrays.DeviceLibrary. Raises Unusable where CuPy is missing or finds no GPU."""

    name = "cupy"

    def __init__(self) -> None:
        try:
            import cupy
        except ImportError as error:
            raise Unusable("no_arrays", why="CuPy is not installed") from error
        if cupy.cuda.runtime.getDeviceCount() < 1:
            raise Unusable("no_arrays", why="CuPy finds no GPU")
        self._cupy = cupy
        self.memory_errors: tuple[type[BaseException], ...] = (cupy.cuda.memory.OutOfMemoryError,)

    def stream(self) -> CupyStream:
        return CupyStream(self._cupy)

    def empty(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Any:
        return self._cupy.empty(tuple(shape), dtype)

    def pinned(self, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
        count = int(np.prod(shape))
        memory = self._cupy.cuda.alloc_pinned_memory(max(1, count * dtype.itemsize))
        return np.frombuffer(memory, dtype, count).reshape(tuple(shape))

    def upload(self, pinned: NDArray[Any], device: Any, stream: Any) -> None:
        with stream.active():
            device.data.copy_from_host_async(pinned.ctypes.data, pinned.nbytes)

    def download(self, device: Any, pinned: NDArray[Any], stream: Any) -> None:
        with stream.active():
            device.data.copy_to_host_async(pinned.ctypes.data, pinned.nbytes)

    def contiguous(self, array: Any) -> Any:
        return self._cupy.ascontiguousarray(array)

    def free_bytes(self) -> int:
        return int(self._cupy.cuda.runtime.memGetInfo()[0])

    def wrapped(self, held: Any) -> Any:
        return self._cupy.asarray(held)

    def synchronize_current(self) -> None:
        self._cupy.cuda.get_current_stream().synchronize()
