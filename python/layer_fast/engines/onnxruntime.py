"""ONNX Runtime on the CPU: the engine that is always there."""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError
from .base import Arrays, describe


class OnnxRuntimeEngine:
    """A session made from bytes (so nothing outside them can be loaded), with explicit threads and no spinning."""

    name = "onnxruntime"
    device = "cpu"

    def __init__(self, model: bytes, *, threads: int = 1, label: str = "graph") -> None:
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
        self._label = label
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library raises several unrelated classes
            raise EngineError(f"{label}: ONNX Runtime refused the graph: {_first_line(error)}") from error

    def run(self, feeds: Arrays, outputs: tuple[str, ...]) -> list[NDArray[Any]]:
        contiguous = {name: np.asarray(array, order="C") for name, array in feeds.items()}
        try:
            return list(self._session.run(list(outputs), contiguous))
        except Exception as error:
            expected = ", ".join(f"{i.name} {i.type}{i.shape}" for i in self._session.get_inputs())
            raise EngineError(
                f"{self._label}: {_first_line(error)}; expected {expected}; got {describe(feeds)}"
            ) from error


def _first_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()[:300]
