"""ONNX Runtime: on the CPU the engine that is always there; on a GPU by its CUDAExecutionProvider."""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from .base import Arrays, Port, check_feeds, describe
from .device_arrays import View, library_of, packed
from .reasons import DeviceFull, Unusable, sign_of

_CUDA = ("CUDAExecutionProvider", {"device_id": 0, "use_tf32": 0})  # TF32 would round products to 10 bits


class OnnxRuntimeEngine:
    """A session made from bytes (so nothing outside them can be loaded), with explicit threads and no spinning.

    device: "cpu" or "cuda". Raises EngineError, on "cuda" Unusable where the provider is not there or does not start.
    """

    name = "onnxruntime"

    def __init__(self, model: bytes, *, threads: int = 1, label: str = "graph", device: str = "cpu") -> None:
        # On import the library writes an identifier into the home folder and reports to its maker, unless told not to.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        # Spinning threads slow every neighbour in the process down; lanes share the cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._label, self.device = label, device
        wanted: list[Any] = [_CUDA] if device == "cuda" else []
        if wanted and _CUDA[0] not in (known := onnxruntime.get_available_providers()):
            raise Unusable("no_provider", why=", ".join(known))
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=[*wanted, "CPUExecutionProvider"])
        except Exception as error:  # the library raises several unrelated classes
            raise self._refusal("load the graph", f"ONNX Runtime refused the graph: {_first_line(error)}") from error
        if wanted and _CUDA[0] not in self._session.get_providers():
            raise Unusable("provider_failed")  # the library itself goes on with the CPU without a word

    def run(self, feeds: Arrays, outputs: tuple[str, ...]) -> list[NDArray[Any]]:
        """NumPy in, NumPy out. On a GPU also CuPy arrays or torch tensors in and out, which are not copied."""
        if self.device == "cuda" and library_of(list(feeds.values()), self._label) is not None:
            return self._run_bound(feeds, outputs)
        contiguous = {name: np.asarray(array, order="C") for name, array in feeds.items()}
        try:
            return list(self._session.run(list(outputs), contiguous))
        except Exception as error:
            expected = ", ".join(f"{i.name} {i.type}{i.shape}" for i in self._session.get_inputs())
            words = f"{_first_line(error)}; expected {expected}; got {describe(feeds)}"
            raise self._refusal("run", words) from error

    def _run_bound(self, feeds: dict[str, Any], outputs: tuple[str, ...]) -> list[Any]:
        """Inputs by their device pointers, results in memory of the library's own that the caller's library wraps."""
        library = library_of(list(feeds.values()), self._label)
        if library is None:
            raise EngineError(f"{self._label}: expected arrays on the GPU, got {describe(feeds)}")
        views: dict[str, Any] = {name: View.of(array) for name, array in feeds.items()}
        check_feeds(self._label, [_port(i) for i in self._session.get_inputs()], views)
        binding, held = self._session.io_binding(), {name: packed(library, array) for name, array in feeds.items()}
        library.synchronize_current()  # the session has a stream of its own
        for name, array in held.items():
            view = View.of(array)
            binding.bind_input(name, "cuda", 0, view.dtype, view.shape, view.pointer)
        for name in outputs:
            binding.bind_output(name, "cuda", 0)
        try:
            self._session.run_with_iobinding(binding)
            binding.synchronize_outputs()
        except Exception as error:
            raise self._refusal("run", f"{_first_line(error)}; got {describe(views)}") from error
        return [library.wrapped(Owned(value)) for value in binding.get_outputs()]

    def _refusal(self, what: str, words: str) -> EngineError:
        if self.device == "cuda" and sign_of(words) == "out_of_memory":
            return DeviceFull(self._label, what, words)
        return EngineError(f"{self._label}: {words}")


class Owned:
    """A result on the GPU as any array library takes it without a copy; it lives as long as this."""

    def __init__(self, value: Any) -> None:
        self._value = value
        kind = np.dtype(_KINDS[value.data_type()])
        self.__cuda_array_interface__ = {
            "shape": tuple(value.shape()), "typestr": kind.str, "data": (value.data_ptr(), False), "version": 3,
            "strides": None,
        }  # fmt: skip


_KINDS = {
    "tensor(float)": "f4", "tensor(float16)": "f2", "tensor(double)": "f8", "tensor(int64)": "i8",
    "tensor(int32)": "i4", "tensor(uint8)": "u1", "tensor(int8)": "i1", "tensor(bool)": "?",
}  # fmt: skip


def _port(value: Any) -> Port:
    return Port(value.name, np.dtype(_KINDS[value.type]), tuple(n if isinstance(n, int) else None for n in value.shape))


def _first_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()[:300]
