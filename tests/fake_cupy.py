"""CuPy emulated over NumPy: arrays that, like CuPy's, do not become NumPy arrays unasked, streams that say what they
were asked for, and a list of every copy between host and device. Put it into sys.modules as "cupy"."""

from __future__ import annotations

import contextlib
import itertools
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


class Machine:
    """What happened. copies: ("upload" | "download", bytes). streams: by pointer. full_after: bytes that fit. late:
    work that is given to a stream is done when somebody waits for it, and not before, as a GPU may do it."""

    def __init__(self) -> None:
        self.copies: list[tuple[str, int]] = []
        self.events: list[str] = []
        self.streams: dict[int, Stream] = {}
        self.current: list[Stream] = []
        self.full_after: int | None = None
        self.late = False
        self.names = itertools.count(0x1000)

    def largest(self, way: str) -> int:
        return max((size for direction, size in self.copies if direction == way), default=0)


class Event:
    """A place in a stream's work: what was given to it so far."""

    def __init__(self, stream: Stream) -> None:
        self.stream, self.given = stream, stream.given


class Stream:
    """begin_capture keeps what is given to the stream (see `give`) instead of doing it."""

    def __init__(self, machine: Machine, pointer: int) -> None:
        self._machine, self.ptr = machine, pointer
        self.recording: list[Callable[[], None]] | None = None
        self.waiting: deque[Callable[[], None]] = deque()
        self.given = 0
        machine.streams[pointer] = self

    def __enter__(self) -> Stream:
        self._machine.current.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._machine.current.pop()

    def give(self, work: Callable[[], None]) -> None:
        if self.recording is not None:
            self.recording.append(work)
        elif self._machine.late:
            self.waiting.append(work)
            self.given += 1
        else:
            work()

    def catch_up(self, given: int | None = None) -> None:
        """Do what waits here, up to the piece of work with this number (None: all)."""
        while self.waiting and (given is None or self.given - len(self.waiting) < given):
            self.waiting.popleft()()

    def record(self, event: Event | None = None) -> Event:
        return event or Event(self)

    def wait_event(self, event: Event) -> None:
        self._machine.events.append(f"{self.ptr:#x} waits for {event.stream.ptr:#x}")
        if self._machine.late:
            self.give(lambda: event.stream.catch_up(event.given))

    def synchronize(self) -> None:
        self._machine.events.append(f"host waits for {self.ptr:#x}")
        self.catch_up()

    def begin_capture(self, mode: int | None = None) -> None:
        self.recording = []

    def end_capture(self) -> Graph:
        recorded, self.recording = self.recording, None
        return Graph(self._machine, recorded or [])


class Graph:
    def __init__(self, machine: Machine, work: list[Callable[[], None]]) -> None:
        self._machine, self._work = machine, work

    def launch(self, stream: Stream | None = None) -> None:
        to = stream or self._machine.current[-1]
        self._machine.events.append(f"graph on {to.ptr:#x}")
        for work in self._work:
            to.give(work)


class _Device(contextlib.nullcontext):  # type: ignore[type-arg]
    id = 0


class Pointer:
    def __init__(self, array: ndarray) -> None:
        self._array, self.ptr = array, array._held.ctypes.data

    def copy_from_host_async(self, address: int, size: int, stream: Stream | None = None) -> None:
        self._array._machine.copies.append(("upload", size))
        self._given(stream, self.ptr, address, size)

    def copy_to_host_async(self, address: int, size: int, stream: Stream | None = None) -> None:
        self._array._machine.copies.append(("download", size))
        self._given(stream, address, self.ptr, size)

    def _given(self, stream: Stream | None, to: int, source: int, size: int) -> None:
        (stream or self._array._machine.current[-1]).give(lambda: _move(to, source, size))


def _move(to: int, source: int, size: int) -> None:
    import ctypes

    ctypes.memmove(to, source, size)


def _view(owner: Any) -> np.ndarray:
    import ctypes

    held = owner.__cuda_array_interface__
    kind = np.dtype(held["typestr"])
    size = int(np.prod(held["shape"])) * kind.itemsize
    memory = (ctypes.c_char * size).from_address(held["data"][0])
    memory.owner = owner  # type: ignore[attr-defined]
    return np.frombuffer(memory, kind).reshape(held["shape"])


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array "on the device". Anything but a scalar that comes from NumPy is refused, as CuPy refuses it."""

    __module__ = "cupy"

    def __init__(self, held: Any, machine: Machine) -> None:
        self._held, self._machine = held, machine

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        held = self._held
        strides = None if held.flags.c_contiguous else held.strides
        return {"shape": held.shape, "typestr": held.dtype.str, "data": (held.ctypes.data, False), "version": 3,
                "strides": strides}  # fmt: skip

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **more: Any) -> Any:
        named = {k: self._bare(v) for k, v in more.items()}
        return self._wrap(getattr(ufunc, method)(*map(self._bare, inputs), **named))

    def __array_function__(self, function: Any, _: Any, args: Any, kwargs: Any) -> Any:
        return self._wrap(function(*map(self._bare, args), **{k: self._bare(v) for k, v in kwargs.items()}))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._held, name)
        if not callable(value):
            return self._wrap(value) if isinstance(value, np.ndarray) else value
        return lambda *a, **k: self._wrap(value(*map(self._bare, a), **{n: self._bare(v) for n, v in k.items()}))

    def __getitem__(self, key: Any) -> Any:
        return self._wrap(self._held[self._bare(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._held[self._bare(key)] = self._bare(value)

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Any]:
        return iter([self[k] for k in range(len(self))])

    def _scalar(self, kind: Callable[[Any], Any]) -> Any:
        self._machine.copies.append(("download", self._held.nbytes))
        return kind(self._held)

    def __float__(self) -> float:
        return float(self._scalar(float))

    def __int__(self) -> int:
        return int(self._scalar(int))

    def __bool__(self) -> bool:
        return bool(self._scalar(bool))

    @property
    def device(self) -> Any:
        return _Device()

    def __array_namespace__(self, **_: Any) -> Any:
        return sys.modules["cupy"]

    @property
    def data(self) -> Pointer:
        return Pointer(self)

    def get(self, stream: Stream | None = None, order: str = "C", out: Any = None, blocking: bool = True) -> Any:
        self._machine.copies.append(("download", self._held.nbytes))
        (stream or self._machine.current[-1]).catch_up()
        if out is None:
            return self._held.copy()
        out[...] = self._held
        return out

    def set(self, arr: Any, stream: Stream | None = None) -> None:
        self._machine.copies.append(("upload", arr.nbytes))
        self._held[...] = arr

    def _wrap(self, value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic):
            return ndarray(np.asarray(value), self._machine)
        return type(value)(map(self._wrap, value)) if isinstance(value, tuple | list) else value

    def _bare(self, value: Any) -> Any:
        if isinstance(value, ndarray):
            return value._held
        if isinstance(value, np.ndarray) and value.ndim:
            raise TypeError(f"Unsupported type {type(value)}")
        return type(value)(map(self._bare, value)) if isinstance(value, tuple | list) else value


def module(machine: Machine) -> types.ModuleType:
    """The part of CuPy that the package uses, on this machine."""
    made: Any = types.ModuleType("cupy")

    def empty(shape: Any, dtype: Any = np.float64) -> ndarray:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if machine.full_after is not None and size > machine.full_after:
            raise made.cuda.memory.OutOfMemoryError(f"Out of memory allocating {size} bytes")
        return ndarray(np.full(shape, 77, dtype), machine)

    def asarray(value: Any, dtype: Any = None) -> ndarray:
        if isinstance(value, ndarray):
            return value
        if hasattr(value, "__cuda_array_interface__"):  # memory of the device that another library owns
            return ndarray(_view(value), machine)
        host = np.asarray(value, dtype)
        machine.copies.append(("upload", host.nbytes))
        return ndarray(host.copy(), machine)

    made.ndarray, made.empty, made.asarray, made.__version__ = ndarray, empty, asarray, "0 (emulated)"
    made.ascontiguousarray = lambda a: ndarray(np.ascontiguousarray(a._held), machine)
    made.asnumpy = lambda a: a.get()
    pool = types.SimpleNamespace(free_all_blocks=lambda: machine.events.append("pool freed"))
    made.get_default_memory_pool = lambda: pool
    made.get_array_module = lambda *a: made if any(isinstance(v, ndarray) for v in a) else np
    made.cuda = _cuda(machine)
    return made  # type: ignore[no-any-return]


def _cuda(machine: Machine) -> Any:
    null = Stream(machine, 0)
    machine.current.append(null)
    memory = types.SimpleNamespace(OutOfMemoryError=type("OutOfMemoryError", (MemoryError,), {}))
    runtime = types.SimpleNamespace(getDeviceCount=lambda: 1, memGetInfo=lambda: (8 << 30, 16 << 30))

    def stream(null: bool = False, non_blocking: bool = False) -> Stream:
        assert non_blocking, "a stream that the default stream waits for"
        return Stream(machine, next(machine.names))

    return types.SimpleNamespace(
        Stream=stream, get_current_stream=lambda: machine.current[-1], memory=memory, runtime=runtime,
        alloc_pinned_memory=lambda size: bytearray(size), Device=lambda *_: contextlib.nullcontext(),
    )  # fmt: skip
