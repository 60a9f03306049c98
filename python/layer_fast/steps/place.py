"""Where a lane's arrays live between upload and record: in the host's memory, or in the GPU's through CuPy."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import ops
from ..engines.device_arrays import give_back_unused
from ..engines.reasons import short

_log = logging.getLogger("layer_fast.steps")


class Place(Protocol):
    """Steps make arrays by `empty`, bring what was read by `put`, and take statistics, never voxels, by `take`; what
    lies between is NumPy's own functions, which work on the arrays that they are given, and `ops`."""

    on_gpu: bool

    def active(self) -> AbstractContextManager[Any]:
        """Within it a batch works: on the GPU on the lane's stream."""
        ...

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> Any: ...

    def put(self, array: NDArray[Any]) -> Any:
        """The array here, in its own dtype: bytes travel as bytes. One that is here already stays what it is."""
        ...

    def take(self, array: Any) -> NDArray[Any]:
        """The array as NumPy; waits for it."""
        ...

    def release(self) -> None:
        """Give back what memory pools hold unused, after a call that found the GPU full."""
        ...


class Host:
    """NumPy: nothing moves."""

    on_gpu = False

    def active(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> Any:
        return np.empty(shape, dtype)

    def put(self, array: NDArray[Any]) -> Any:
        return array

    def take(self, array: Any) -> NDArray[Any]:
        held: NDArray[Any] = np.asarray(array)
        return held

    def release(self) -> None:
        return None


class OnGpu:
    """CuPy on a stream of the lane's own. CuPy stages NumPy arrays through pinned memory and its pool keeps what is
    freed, so that the next batch finds its memory there."""

    on_gpu = True

    def __init__(self, cupy: Any) -> None:
        self._cupy = cupy
        self._stream = cupy.cuda.Stream(non_blocking=True)

    def active(self) -> AbstractContextManager[Any]:
        held: AbstractContextManager[Any] = self._stream
        return held

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> Any:
        return self._cupy.empty(shape, dtype)

    def put(self, array: NDArray[Any]) -> Any:
        return self._cupy.asarray(array)

    def take(self, array: Any) -> NDArray[Any]:
        held: NDArray[Any] = array.get() if isinstance(array, self._cupy.ndarray) else np.asarray(array)
        return held

    def release(self) -> None:
        self._stream.synchronize()
        give_back_unused()


def why_not_on_gpu(device: str) -> str:
    """Why the arrays of a run stay in the host's memory, "" where they can live on the GPU."""
    if device != "cuda":
        return "the engine runs on the CPU"
    info = ops.build_info()
    if not info["cuda_devices"]:
        return f"the native operations have no GPU: {info['cuda_reason']}"
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed; pip install 'layer_fast[gpu]'"
    try:
        return "" if cupy.cuda.runtime.getDeviceCount() else "CuPy finds no GPU"
    except RuntimeError as error:  # a CuPy for another CUDA than the driver's
        return f"CuPy cannot use the GPU: {short(error)}"


def places(device: str) -> Callable[[], Place]:
    """What makes a lane's place; where the arrays stay with the host although the engine is on the GPU, a line of the
    log says why."""
    why = why_not_on_gpu(device)
    if not why:
        import cupy

        return lambda: OnGpu(cupy)
    if device == "cuda":
        _log.warning("arrays are copied to the engine and back: %s", why)
    return Host
