"""How arrays come in and go out: any CPU array of NumPy or DLPack in, the caller's kind back."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from layer_fast.errors import DeviceError

_log = logging.getLogger("layer_fast.ops")
_CPU = (1, 3)  # DLPack device types of memory that the CPU can read: CPU, pinned host memory


def take(array: Any, op: str, name: str, *, dtypes: Sequence[DTypeLike], axes: int | Sequence[int]) -> NDArray[Any]:
    """The array as C-contiguous native NumPy of one of `dtypes` with `axes` axes.

    Viewed where it can be; foreign byte order, strides and unaligned memory are copied once, and the log says so
    (debug level).
    Raises TypeError (no array, other dtype), ValueError (other number of axes), DeviceError (not on the CPU).
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
    if view.flags.c_contiguous and view.flags.aligned and view.dtype.isnative:
        return view
    _log.debug("[%s] %s was copied once: strides, unaligned memory or foreign byte order", op, name)
    return np.array(view, dtype=native, order="C")  # new memory is aligned


def view_of(array: Any, op: str, name: str) -> NDArray[Any]:
    """NumPy view of a NumPy or DLPack array on the CPU; never a copy."""
    if isinstance(array, np.ndarray):
        return array
    if hasattr(array, "__dlpack_device__"):
        if int(array.__dlpack_device__()[0]) not in _CPU:
            raise DeviceError(f"[{op}] expected {name} on the CPU: this version has CPU twins only, got CUDA")
        try:
            return np.from_dlpack(array)
        except (BufferError, RuntimeError, TypeError) as error:
            raise TypeError(f"[{op}] expected {name} to share its memory by DLPack, got: {error}") from error
    if hasattr(array, "__cuda_array_interface__"):
        raise DeviceError(f"[{op}] expected {name} on the CPU: this version has CPU twins only, got CUDA")
    raise TypeError(f"[{op}] expected {name} to be a NumPy or DLPack array, got {type(array).__name__}")


def output(out: Any, op: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """A new array, or `out` as NumPy after checking shape, dtype, strides and that it may be written."""
    if out is None:
        return np.empty(shape, dtype)
    view = view_of(out, op, "out")
    if view.shape != shape or view.dtype != np.dtype(dtype):
        want = f"{shape} {np.dtype(dtype).name}"
        raise ValueError(f"[{op}] expected out of {want}, got {view.shape} {view.dtype.name}")
    if not (view.flags.c_contiguous and view.flags.writeable):
        raise ValueError(f"[{op}] expected out to be C-contiguous and writable, got flags {view.flags}")
    if not view.flags.aligned:
        address = view.__array_interface__["data"][0]
        raise ValueError(f"[{op}] expected out aligned to {view.dtype.alignment} bytes, got an address of {address:#x}")
    return view


def apart(out: NDArray[Any], op: str, **inputs: NDArray[Any]) -> None:
    """ValueError where `out` may share memory with an input: it would be written while that is read."""
    for name, array in inputs.items():
        if np.may_share_memory(out, array):
            raise ValueError(f"[{op}] expected out to share no memory with {name}, got overlapping arrays")


def give(result: NDArray[Any], like: Any, out: Any = None) -> Any:
    """`out` where there is one, else the result as the kind of `like`, sharing its memory."""
    if out is not None:
        return out
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
