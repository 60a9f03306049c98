"""TensorRT and TensorRT-RTX on the GPU: raw device pointers on a stream of the engine's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import EngineError, ModelError
from .. import cuda
from ..base import Port, Sizes, check_feeds
from ..cuda import Gpu
from ..device_arrays import DeviceLibrary, Stream, View, any_library, library_of, packed
from ..reasons import DeviceFull, short
from .bound import Bound
from .build import Recipe
from .cache import EngineCache, folder
from .library import Library, find
from .loaded import Loaded, load
from .profiles import Shape, profiles

PRECISIONS = ("float32", "float16")
_MAX_CONTEXTS = 3  # with the CUDA graphs and staged arrays of one set of input shapes each


class TensorRtEngine:
    """An ONNX graph as an engine for the GPU of this process, built once and kept on disk.

    precision: "float32", or "float16" for graphs.to_half of the graph (inputs and outputs stay float32). sizes: what
    the engine is built for; calls outside it are refused. cache: folder of built engines, "" for the usual one.
    Raises EngineError (Unusable where this machine cannot run it, DeviceFull where its memory is full).
    """

    name = "tensorrt"
    device = "cuda"

    def __init__(
        self, model: bytes, *, label: str = "graph", precision: str = "float32", sizes: Sizes | None = None,
        cache: str = "",
    ) -> None:  # fmt: skip
        gpu = cuda.first_gpu()
        recipe, ports = recipe_of(model, label, precision, sizes or Sizes(), find(), gpu)
        self._hold(load(recipe, EngineCache(folder(cache)), gpu), ports)

    @classmethod
    def around(cls, loaded: Loaded, ports: list[Port]) -> TensorRtEngine:
        """An engine that is loaded already."""
        made = cls.__new__(cls)
        made._hold(loaded, ports)
        return made

    def _hold(self, loaded: Loaded, ports: list[Port]) -> None:
        self._label, self._loaded, self._ports, self._own = loaded.recipe.label, loaded, ports, any_library()
        self._streams: dict[str, Stream] = {}
        self._bound: dict[tuple[str, tuple[Shape, ...]], Bound] = {}
        self._staged: dict[tuple[str, Shape], tuple[NDArray[Any], Any]] = {}
        self._activations: dict[str, Any] = {}

    def run(self, feeds: dict[str, Any], outputs: tuple[str, ...]) -> list[Any]:
        """NumPy arrays are copied to the GPU and the results back, by pinned memory. CuPy arrays and torch tensors
        are read where they are, and the results are new arrays of their kind, ready for the current stream of their
        library; nothing waits on the host."""
        for name in outputs:
            if name not in self._loaded.outputs:
                raise EngineError(f"{self._label}: expected outputs of {sorted(self._loaded.outputs)}, got {name!r}")
        library = library_of(list(feeds.values()), self._label)
        if library is None:
            check_feeds(self._label, self._ports, feeds)
            return self._run_host({port.name: feeds[port.name] for port in self._ports}, outputs)
        views: dict[str, Any] = {name: View.of(array) for name, array in feeds.items()}
        check_feeds(self._label, self._ports, views)
        return self._run_device(library, {port.name: feeds[port.name] for port in self._ports}, outputs)

    def _run_device(self, library: DeviceLibrary, feeds: dict[str, Any], outputs: tuple[str, ...]) -> list[Any]:
        with self._full(library):
            given = {name: packed(library, array) for name, array in feeds.items()}
            stream = self._stream(library)
            stream.after_current()
            bound = self._bind(library, {name: View.of(array).shape for name, array in given.items()})
            try:
                with stream.active():
                    made = {name: library.empty(*facts) for name, facts in bound.outputs.items()}
                    bound.enqueue({name: View.of(array).pointer for name, array in (given | made).items()})
            finally:  # after a failed call too: a copy that was made for it goes back to the library's pool
                stream.before_current()
        return [made[name] for name in outputs]

    def _run_host(self, feeds: dict[str, NDArray[Any]], outputs: tuple[str, ...]) -> list[NDArray[Any]]:
        library = self._own
        with self._full(library):
            stream = self._stream(library)
            bound = self._bind(library, {name: array.shape for name, array in feeds.items()})
            given = {name: self._stage(name, array.shape, array.dtype) for name, array in feeds.items()}
            made = {name: self._stage(name, *facts) for name, facts in bound.outputs.items()}
            try:
                for name, (pinned, device) in given.items():
                    np.copyto(pinned, feeds[name])
                    library.upload(pinned, device, stream)
                with stream.active():
                    bound.enqueue({name: View.of(device).pointer for name, (_, device) in (given | made).items()})
                for name in outputs:
                    library.download(made[name][1], made[name][0], stream)
            finally:  # after a failed call too: the stream still reads pinned memory, which may go with this engine
                stream.synchronize()
        return [made[name][0].copy() for name in outputs]

    def _stage(self, name: str, shape: Shape, dtype: np.dtype[Any]) -> tuple[NDArray[Any], Any]:
        """The pinned and the device buffer of a tensor of this shape; kept, so that addresses come again."""
        key = (name, shape)
        if key not in self._staged:
            with self._stream(self._own).active():
                self._staged[key] = self._own.pinned(shape, dtype), self._own.empty(shape, dtype)
        return self._staged[key]

    def _bind(self, library: DeviceLibrary, shapes: dict[str, Shape]) -> Bound:
        key = (library.name, tuple(shapes.values()))
        if key not in self._bound:
            if len(self._bound) >= _MAX_CONTEXTS:
                for stream in self._streams.values():  # what the oldest context was given may still be running
                    stream.synchronize()
                del self._bound[next(iter(self._bound))]
                self._staged.clear()
            bound = Bound(self._loaded, shapes, self._stream(library))
            bound.lend(self._memory(library, bound.activation_bytes))
            self._bound[key] = bound
        return self._bound[key]

    def _memory(self, library: DeviceLibrary, size: int) -> Any:
        """Bytes for activations from the library's pool: one array for all contexts on its stream, which is replaced
        where a call needs more."""
        held = self._activations.get(library.name)
        if held is None or View.of(held).nbytes < size:
            with self._stream(library).active():
                held = self._activations[library.name] = library.empty((size,), np.dtype(np.uint8))
        return held

    def _stream(self, library: DeviceLibrary) -> Stream:
        if library.name not in self._streams:
            self._streams[library.name] = library.stream()
        return self._streams[library.name]

    @contextmanager
    def _full(self, library: DeviceLibrary) -> Iterator[None]:
        try:
            yield
        except library.memory_errors as error:
            raise DeviceFull(self._label, "run", short(error)) from error


def recipe_of(
    model: bytes, label: str, precision: str, sizes: Sizes, library: Library, gpu: Gpu | None
) -> tuple[Recipe, list[Port]]:
    """What decides an engine, and the graph's inputs. gpu: None for a portable one. Raises EngineError."""
    import onnx

    from ... import graphs

    if precision not in PRECISIONS:
        raise EngineError(f"{label}: precision: expected one of {', '.join(PRECISIONS)}, got {precision!r}")
    try:
        proto = onnx.load_from_string(model)
    except Exception as error:  # protobuf's own class
        raise EngineError(f"{label}: expected an ONNX model, found {len(model)} bytes that are none") from error
    constants = {tensor.name for tensor in proto.graph.initializer}
    ports = [Port.of(value) for value in proto.graph.input if value.name not in constants]
    if precision == "float16":
        try:
            model = bytes(graphs.to_half(proto).SerializeToString())
        except ModelError as error:
            raise EngineError(f"{label}: no half precision for this graph: {error}") from error
    made = tuple(profiles(label, ports, sizes))
    where = (gpu.capability, gpu.name) if gpu is not None else ("", "")
    return Recipe(label, model, precision, made, library, *where), ports
