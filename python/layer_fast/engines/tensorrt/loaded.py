"""An engine in the GPU's memory: checked before it is loaded, shared by the lanes of a process."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import numpy as np

from ...errors import EngineError
from .. import cuda
from ..cuda import Gpu
from ..reasons import DeviceFull, Unusable, sign_of
from .build import Recipe, build
from .cache import EngineCache
from .library import Library, new_log

_SHARED: weakref.WeakValueDictionary[str, Loaded] = weakref.WeakValueDictionary()
_lock = threading.Lock()


class Loaded:
    """A deserialised engine with what keeps it alive. outputs: name -> dtype. Contexts are made per lane."""

    def __init__(self, recipe: Recipe, serialized: bytes, gpu: Gpu) -> None:
        self.recipe, trt = recipe, recipe.library.module
        self._one_at_a_time = threading.Lock()
        self.log = new_log(recipe.library)
        self._runtime = trt.Runtime(self.log)
        refuse_invalid(self._runtime, serialized, recipe.library, gpu)
        self.engine = self._runtime.deserialize_cuda_engine(serialized)
        if self.engine is None:
            raise failure(recipe, self.log.take(), "load the engine", gpu)
        names = [self.engine.get_tensor_name(i) for i in range(self.engine.num_io_tensors)]
        self.outputs = {
            name: np.dtype(trt.nptype(self.engine.get_tensor_dtype(name)))
            for name in names
            if self.engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT
        }

    def context(self) -> Any:
        """A new execution context without memory for activations: whoever binds it gives that (`Bound.lend`).
        TensorRT-RTX records CUDA graphs by itself, full TensorRT is recorded by us. Lanes share the engine, and
        TensorRT promises nothing for an object that several threads use at once."""
        trt, library = self.recipe.library.module, self.recipe.library
        lent = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        with self._one_at_a_time:
            if library.rtx:
                config = self.engine.create_runtime_config()
                config.set_execution_context_allocation_strategy(lent)
                if hasattr(trt, "CudaGraphStrategy"):
                    config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
                made = self.engine.create_execution_context(config)
            else:
                made = self.engine.create_execution_context(lent)
            if made is None:
                raise failure(self.recipe, self.log.take(), "make room for its activations", cuda.first_gpu())
        return made


def load(recipe: Recipe, cache: EngineCache, gpu: Gpu) -> Loaded:
    """The engine of a recipe: one that this process holds, the cached one, or a new one. Raises EngineError."""
    key = recipe.key()
    with _lock:
        found = _SHARED.get(key)
        if found is None:
            found = _SHARED[key] = Loaded(recipe, cache.get(key, lambda: build(recipe)), gpu)
        return found


def refuse_invalid(runtime: Any, serialized: bytes, library: Library, gpu: Gpu) -> None:
    """Raise Unusable where the library itself says that this engine cannot run here (TensorRT-RTX can say so before
    it loads one)."""
    if not hasattr(runtime, "get_engine_validity"):
        return
    validity, diagnostics = runtime.get_engine_validity(serialized)
    if validity != library.module.EngineValidity.INVALID:
        return
    said = _diagnostics(library, diagnostics)
    raise _unusable(library, gpu, sign_of(said) or "unsupported_capability", f"it says {said}")


def failure(recipe: Recipe, words: str, what: str, gpu: Gpu) -> EngineError:
    """The error for words that the library left in its log."""
    words = words or "it gives no reason"
    code = sign_of(words)
    if code == "out_of_memory":
        return DeviceFull(recipe.label, what, words)
    if code:
        return _unusable(recipe.library, gpu, code, words)
    return EngineError(f"{recipe.label}: {recipe.library.name} {recipe.library.version} could not {what}: {words}")


def _unusable(library: Library, gpu: Gpu, code: str, why: str) -> EngineError:
    facts = {"library": library.name, "version": library.version, "gpu": gpu.name, "capability": gpu.capability}
    if code == "out_of_memory":
        return DeviceFull(library.name, "load the engine", why)
    return Unusable(code, **facts, why=why, cuda="{}.{}".format(*cuda.driver().cuda))


def _diagnostics(library: Library, value: Any) -> str:
    """The names in a bit mask of EngineInvalidityDiagnostics, or whatever it is."""
    try:
        bits = int(value)
        members = library.module.EngineInvalidityDiagnostics.__members__
        return ", ".join(name for name, bit in members.items() if bits & int(bit)) or f"diagnostics {bits}"
    except (TypeError, ValueError, AttributeError):
        return str(value)
