"""OpenVINO on the CPU: the faster engine, an extra."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from .base import Arrays, Port, check_feeds, feed_error
from .untied import untied

_HINTS = {"float32": "f32", "bfloat16": "bf16"}
_core: list[Any] = []  # one per process: it holds the loaded plugins, nothing of a graph
_core_lock = threading.Lock()


class OpenVinoEngine:
    """A compiled model made from bytes in memory: no file, no cache folder, explicit threads, one stream, no pinning.

    precision: "float32" computes in float32; "bfloat16" computes convolutions and products in bfloat16 and is refused
    where this CPU has no such arithmetic (OpenVINO itself would go on in float32 without a word). Inputs and outputs
    keep the graph's types. Raises EngineError.
    """

    name = "openvino"
    device = "cpu"

    def __init__(self, model: bytes, *, threads: int = 1, label: str = "graph", precision: str = "float32") -> None:
        self._label = label
        core = _runtime()
        if precision not in _HINTS:
            raise EngineError(f"{label}: precision: expected one of {', '.join(_HINTS)}, got {precision!r}")
        options = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision], "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False, "ENABLE_HYPER_THREADING": True,
            "CACHE_DIR": "",
        }  # fmt: skip
        try:
            self._model = core.compile_model(core.read_model(untied(model)), "CPU", options)
        except Exception as error:  # the library raises RuntimeError and its relatives
            raise EngineError(f"{label}: OpenVINO refused the graph: {_first_line(error)}") from error
        if precision == "bfloat16":
            self._check_bfloat16()
        self._ports = [_port(i) for i in self._model.inputs]
        self._places = {name: i for i, output in enumerate(self._model.outputs) for name in output.get_names()}
        self._request = self._model.create_infer_request()

    def run(self, feeds: Arrays, outputs: tuple[str, ...]) -> list[NDArray[Any]]:
        check_feeds(self._label, self._ports, feeds)
        for name in outputs:
            if name not in self._places:
                raise EngineError(f"{self._label}: expected outputs of {sorted(self._places)}, got {name!r}")
        contiguous = {name: np.asarray(array, order="C") for name, array in feeds.items()}
        try:
            self._request.infer(contiguous, share_inputs=True)
            # The request's own buffers are written over by the next call.
            return [np.array(self._request.get_output_tensor(self._places[name]).data) for name in outputs]
        except Exception as error:
            raise feed_error(self._label, _first_line(error), self._ports, feeds) from error

    def _check_bfloat16(self) -> None:
        kind = self._model.get_property("INFERENCE_PRECISION_HINT")
        if "bf" not in kind.get_type_name():
            raise EngineError(
                f"{self._label}: precision bfloat16: expected a CPU with bfloat16 arithmetic (AVX512-BF16 or AMX), "
                f"found one on which OpenVINO computes in {kind.get_type_name()}; use precision float32"
            )


def _port(value: Any) -> Port:
    shape = value.get_partial_shape()
    sizes = None if shape.rank.is_dynamic else tuple(d.get_length() if d.is_static else None for d in shape)
    return Port(value.get_any_name(), np.dtype(value.get_element_type().to_dtype()), sizes)


def _runtime() -> Any:
    with _core_lock:
        if not _core:
            try:
                with _without_telemetry():
                    import openvino
            except ImportError as error:
                raise EngineError("engine 'openvino' is missing: pip install 'layer_fast[openvino]'") from error
            _core.append(openvino.Core())
        return _core[0]


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """`import openvino` tells its maker's server that it was imported and writes an identifier into the user's home,
    if the package openvino_telemetry is there. Where that is hidden, OpenVINO takes the replacement that it brings for
    that case."""
    name = "openvino_telemetry"
    before = sys.modules.get(name, ...)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if before is ...:
            del sys.modules[name]
        else:
            sys.modules[name] = before


def _first_line(error: Exception) -> str:
    text = re.sub(r"Exception from [^:]+:\d+:", "", str(error))
    return re.sub(r"\s+", " ", text).strip()[:300]
