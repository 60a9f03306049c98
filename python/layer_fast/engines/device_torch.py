"""GPU memory, streams and captured work by PyTorch, where CuPy is not installed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .reasons import Unusable

_recording = threading.Lock()  # torch: only one capture may be underway at a time in the process


class TorchStream:
    """See device_arrays.Stream."""

    def __init__(self, torch: Any) -> None:
        self._cuda, self._stream = torch.cuda, torch.cuda.Stream()
        self.pointer = int(self._stream.cuda_stream)

    def active(self) -> AbstractContextManager[Any]:
        held: AbstractContextManager[Any] = self._cuda.stream(self._stream)
        return held

    def after_current(self) -> None:
        self._stream.wait_stream(self._cuda.current_stream())

    def before_current(self) -> None:
        self._cuda.current_stream().wait_stream(self._stream)

    def synchronize(self) -> None:
        self._stream.synchronize()

    def captured(self, call: Callable[[], None]) -> Callable[[], None]:
        graph = self._cuda.CUDAGraph()
        # Its default mode would fail what other lanes ask of the GPU in the meantime.
        with _recording, self._cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            call()

        def launch() -> None:
            with self._cuda.stream(self._stream):
                graph.replay()

        return launch


class TorchLibrary:
    """See device_arrays.DeviceLibrary. Raises Unusable where torch is missing or has no CUDA."""

    name = "torch"

    def __init__(self) -> None:
        try:
            import torch
        except ImportError as error:
            raise Unusable("torch_without_cuda", why="it is not installed") from error
        if not torch.cuda.is_available():
            raise Unusable("torch_without_cuda", why=f"torch {torch.__version__}")
        self._torch = torch
        self.memory_errors: tuple[type[BaseException], ...] = (torch.cuda.OutOfMemoryError,)

    def stream(self) -> TorchStream:
        return TorchStream(self._torch)

    def empty(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Any:
        return self._torch.empty(tuple(shape), dtype=self._kind(dtype), device="cuda")

    def pinned(self, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
        held: NDArray[Any] = self._torch.empty(tuple(shape), dtype=self._kind(dtype), pin_memory=True).numpy()
        return held  # the array keeps the tensor alive

    def upload(self, pinned: NDArray[Any], device: Any, stream: Any) -> None:
        with stream.active():
            device.copy_(self._torch.from_numpy(pinned), non_blocking=True)

    def download(self, device: Any, pinned: NDArray[Any], stream: Any) -> None:
        with stream.active():
            self._torch.from_numpy(pinned).copy_(device, non_blocking=True)

    def contiguous(self, array: Any) -> Any:
        return array.contiguous()

    def free_bytes(self) -> int:
        return int(self._torch.cuda.mem_get_info()[0])

    def wrapped(self, held: Any) -> Any:
        return self._torch.as_tensor(held, device="cuda")

    def synchronize_current(self) -> None:
        self._torch.cuda.current_stream().synchronize()

    def _kind(self, dtype: np.dtype[Any]) -> Any:
        return getattr(self._torch, "bool" if dtype.kind == "b" else dtype.name)
