"""One execution context with one set of input shapes: addresses in, work on a stream out."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from ...errors import EngineError
from .. import cuda
from ..device_arrays import Stream, View
from .loaded import Loaded, failure
from .profiles import Shape, described, fitting

_log = logging.getLogger("layer_fast.engines")
_MAX_GRAPHS = 8  # of one context; CuPy's pool gives the same few addresses again and again


class Bound:
    """outputs: name -> (shape, dtype) for these input shapes. activation_bytes: memory that a call needs beside its
    inputs and outputs, to be lent before the first. Raises EngineError for shapes outside the profiles."""

    def __init__(self, loaded: Loaded, shapes: dict[str, Shape], stream: Stream) -> None:
        self._loaded, self._stream, recipe = loaded, stream, loaded.recipe
        number = fitting(recipe.profiles, shapes)
        if number is None:
            given = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
            raise EngineError(f"{recipe.label}: the engine was built for {described(recipe.profiles)}; got {given}")
        self._context = loaded.context()
        if number and not self._context.set_optimization_profile_async(number, stream.pointer):
            raise self._failed("change its profile")
        for name, shape in shapes.items():
            if not self._context.set_input_shape(name, shape):
                raise self._failed(f"take {name} {list(shape)}")
        try:
            missing = self._context.infer_shapes()
        except RuntimeError as error:  # the bindings' own
            raise self._failed(f"work out its shapes ({error})") from error
        if missing:
            raise EngineError(f"{recipe.label}: expected all sizes to follow from the inputs; open are {missing}")
        self.outputs: dict[str, tuple[Shape, np.dtype[Any]]] = {
            name: (tuple(self._context.get_tensor_shape(name)), dtype) for name, dtype in loaded.outputs.items()
        }
        # 0 may mean that the question failed; then the profile's largest batch decides.
        found = self._context.update_device_memory_size_for_shapes()
        self.activation_bytes = int(found or loaded.engine.get_device_memory_size_for_profile_v2(number))
        self._lent: Any = None
        self._seen: set[tuple[int, ...]] = set()
        self._graphs: dict[tuple[int, ...], Any] = {}
        self._record = not recipe.library.rtx  # TensorRT-RTX records by itself, see Loaded.context

    def lend(self, memory: Any) -> None:
        """Memory for activations, at least `activation_bytes`: of the stream, whose calls come one after the other, so
        that contexts may share it. Held as long as this context, as recorded graphs have its address."""
        view = View.of(memory)
        self._lent = memory
        self._context.set_device_memory(view.pointer if view.nbytes else 0, view.nbytes)

    def enqueue(self, addresses: dict[str, int]) -> None:
        """Give one call to the stream. Addresses that come again are recorded as a CUDA graph the second time, after
        the plain call that TensorRT asks for, and launched as one from then on."""
        key = tuple(addresses.values())
        if key in self._graphs:
            self._graphs[key]()
            return
        for name, address in addresses.items():
            if not self._context.set_tensor_address(name, address):
                raise self._failed(f"take the address of {name}")
        if self._record and key in self._seen and len(self._graphs) < _MAX_GRAPHS and self._capture(key):
            self._graphs[key]()
            return
        self._execute()
        self._seen.add(key)
        if len(self._seen) > 16 * _MAX_GRAPHS:
            self._seen.clear()

    def _execute(self) -> None:
        if not self._context.execute_async_v3(self._stream.pointer):
            raise self._failed("run")

    def _capture(self, key: tuple[int, ...]) -> bool:
        try:
            self._graphs[key] = self._stream.captured(self._execute)
        except Exception as error:  # whatever it is, the plain call says it too if it matters
            _log.info("%s: runs without a CUDA graph: %s", self._loaded.recipe.label, error)
            self._record = False
            return False
        return True

    def _failed(self, what: str) -> EngineError:
        return failure(self._loaded.recipe, self._loaded.log.take(), what, cuda.first_gpu())
