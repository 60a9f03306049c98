"""How arrays come in and go out: any array of NumPy, DLPack or a CUDA library in, the caller's kind back."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from layer_fast.errors import DeviceError
from layer_fast.ops._device import DeviceArray, compact, current_stream, empty, is_cuda, overlap

_log = logging.getLogger("layer_fast.ops")
_CPU = (1, 3)  # DLPack device types of memory that the CPU can read: CPU, pinned host memory

# What an op works on: NumPy on the CPU, a DeviceArray on a CUDA device.
Placed: TypeAlias = NDArray[Any] | DeviceArray


def take(array: Any, op: str, name: str, *, dtypes: Sequence[DTypeLike], axes: int | Sequence[int]) -> Placed:
    """The array where it is, C-contiguous, in native byte order, of one of `dtypes` and with `axes` axes.

    Viewed where it can be; foreign byte order, strides and unaligned memory are copied once, and the log says so
    (debug level).
    Raises TypeError (no array, other dtype), ValueError (other number of axes), DeviceError (a device not served).
    """
    view = view_of(array, op, name)
    native = view.dtype.newbyteorder("=")
    allowed = [np.dtype(d) for d in dtypes]
    if native not in allowed:
        names = " or ".join(d.name for d in allowed)
        raise TypeError(f"[{op}] expected {name} of dtype {names}, got {view.dtype.name}")
    wanted = (axes,) if isinstance(axes, int) else tuple(axes)
    if view.ndim not in wanted:
        text = " or ".join(map(str, wanted))
        raise ValueError(f"[{op}] expected {name} with {text} axes, got shape {view.shape}")
    if isinstance(view, DeviceArray):
        dense = compact(view, op, name)
        if dense is not view:
            _log.debug("[%s] %s was copied once on its device: strides", op, name)
        return dense
    if view.flags.c_contiguous and view.flags.aligned and view.dtype.isnative:
        return view
    _log.debug("[%s] %s was copied once: strides, unaligned memory or foreign byte order", op, name)
    return np.array(view, dtype=native, order="C")  # new memory is aligned


def view_of(array: Any, op: str, name: str) -> Placed:
    """NumPy view of a NumPy or DLPack array on the CPU, description of one on a CUDA device; never a copy."""
    if isinstance(array, np.ndarray | DeviceArray):
        return array
    if is_cuda(array):
        return DeviceArray(array, op, name)
    if hasattr(array, "__dlpack_device__"):
        if (kind := int(array.__dlpack_device__()[0])) not in _CPU:
            raise DeviceError(f"[{op}] expected {name} on the CPU or a CUDA device, got DLPack device type {kind}")
        try:
            return np.from_dlpack(array)
        except (BufferError, RuntimeError, TypeError) as error:
            raise TypeError(f"[{op}] expected {name} to share its memory by DLPack, got: {error}") from error
    raise TypeError(f"[{op}] expected {name} to be a NumPy or DLPack array, got {type(array).__name__}")


def output(out: Any, op: str, shape: tuple[int, ...], dtype: DTypeLike, like: Placed) -> Placed:
    """A new array beside `like`, or `out` after checking shape, dtype, strides and that it may be written."""
    if out is None:
        return empty(shape, dtype, like, op) if isinstance(like, DeviceArray) else np.empty(shape, dtype)
    view = view_of(out, op, "out")
    if view.shape != shape or view.dtype != np.dtype(dtype):
        want = f"{shape} {np.dtype(dtype).name}"
        raise ValueError(f"[{op}] expected out of {want}, got {view.shape} {view.dtype.name}")
    if isinstance(view, DeviceArray):
        if not (view.contiguous and view.writable):
            found = "one that is read-only" if view.contiguous else f"strides {view.strides}"
            raise ValueError(f"[{op}] expected out to be C-contiguous and writable, got {found}")
        return view
    if not (view.flags.c_contiguous and view.flags.writeable):
        raise ValueError(f"[{op}] expected out to be C-contiguous and writable, got flags {view.flags}")
    if not view.flags.aligned:
        address = view.__array_interface__["data"][0]
        raise ValueError(f"[{op}] expected out aligned to {view.dtype.alignment} bytes, got an address of {address:#x}")
    return view


def stream_of(op: str, **arrays: Placed | None) -> int:
    """The stream to work on: the current one of the arrays' library, 0 on the CPU. None stands for an absent array.

    Raises DeviceError where the arrays do not live on one device, or their libraries work on several streams: what one
    of them is still computing would be read before it is there.
    """
    there = {name: array for name, array in arrays.items() if array is not None}
    places = {name: array.device if isinstance(array, DeviceArray) else "the CPU" for name, array in there.items()}
    if len(set(places.values())) > 1:
        raise DeviceError(f"[{op}] expected {' and '.join(places)} on one device, got {', '.join(places.values())}")
    found = {name: current_stream(array) for name, array in there.items() if isinstance(array, DeviceArray)}
    said = {name: stream for name, stream in found.items() if stream is not None}
    if len(set(said.values())) > 1:
        shown = ", ".join(f"{stream:#x}" for stream in said.values())
        raise DeviceError(f"[{op}] expected {' and '.join(said)} of libraries that work on one stream, got {shown}")
    return next(iter(said.values()), 0)


def apart(out: Placed, op: str, **inputs: Placed) -> None:
    """ValueError where `out` may share memory with an input: it would be written while that is read."""
    for name, array in inputs.items():
        if _may_share(out, array):
            raise ValueError(f"[{op}] expected out to share no memory with {name}, got overlapping arrays")


def _may_share(a: Placed, b: Placed) -> bool:
    if isinstance(a, DeviceArray) or isinstance(b, DeviceArray):
        return isinstance(a, DeviceArray) and isinstance(b, DeviceArray) and overlap(a, b)
    return np.may_share_memory(a, b)


def same_memory(a: Placed, b: Placed) -> bool:
    """Whether two arrays begin at the same address of the same kind of memory."""
    if isinstance(a, DeviceArray) or isinstance(b, DeviceArray):
        return isinstance(a, DeviceArray) and isinstance(b, DeviceArray) and a.address == b.address
    return bool(a.__array_interface__["data"][0] == b.__array_interface__["data"][0])


def give(result: Placed, like: Any, out: Any = None) -> Any:
    """`out` where there is one, else the result as the kind of `like`, sharing its memory."""
    if out is not None:
        return out
    if isinstance(result, DeviceArray):
        return result.owner
    if isinstance(like, np.ndarray):
        return result
    torch = sys.modules.get("torch")  # a tensor came in, so torch is there; it is never imported from here
    if torch is not None and isinstance(like, torch.Tensor):
        return torch.from_numpy(result)
    if hasattr(like, "__array_namespace__"):
        return like.__array_namespace__().from_dlpack(result)
    return result


def three(shape: Sequence[int], op: str) -> tuple[int, int, int]:
    """The shape as three positive integers (z, y, x)."""
    numbers = tuple(int(n) for n in shape)
    if len(numbers) != 3 or min(numbers) < 1:
        raise ValueError(f"[{op}] expected shape of three positive numbers (z, y, x), got {tuple(shape)}")
    return numbers[0], numbers[1], numbers[2]


def affine_map(grid_map: Any, op: str) -> list[float] | None:
    """A 4 x 4 grid_map, output index -> input index (z, y, x), as 16 numbers row by row; None stays None."""
    if grid_map is None:
        return None
    matrix = np.asarray(grid_map, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.array_equal(matrix[3], [0, 0, 0, 1]):
        raise ValueError(f"[{op}] expected grid_map as a finite 4 x 4 matrix with last row 0 0 0 1, got {matrix}")
    return [float(value) for value in matrix.ravel()]


def thread_count(threads: int | None, op: str) -> int:
    """0 (the default of the native side) or a positive number."""
    if threads is None:
        return 0
    if threads < 1:
        raise ValueError(f"[{op}] expected threads of 1 or more, got {threads}")
    return int(threads)
