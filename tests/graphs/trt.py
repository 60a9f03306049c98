"""TensorRT-RTX as a compiler: it parses and builds a graph ahead of time, which needs neither GPU nor driver."""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import onnx

MODULES = ("tensorrt_rtx", "tensorrt_rtx_bindings")
"""The name that NVIDIA's source package gives, and what the bare wheel is called."""
CRASHED = "TensorRT ended the process"
BATCHES = (1, 4, 8)
"""Smallest, usual and largest batch of the profile."""


def installed() -> bool:
    return any(importlib.util.find_spec(name) for name in MODULES)


def find() -> Any:
    """The module. An installation that does not load is an error."""
    return importlib.import_module(next(name for name in MODULES if importlib.util.find_spec(name)))


class Compiler:
    """Builds in a process of its own: a library that crashes, then or at exit, fails one test and not the run."""

    def __init__(self) -> None:
        self._pool = self._start()

    @staticmethod
    def _start() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"))

    def complaints(self, model: onnx.ModelProto, sizes: Sequence[int] = ()) -> list[str]:
        """What parser and builder have against a graph; empty where an engine was built.

        `sizes` fills open dimensions behind the batch, axis by axis (its first entry stands for the batch).
        """
        return self.run(build, model.SerializeToString(), tuple(sizes))

    def run(self, task: Callable[..., list[str]], *arguments: Any) -> list[str]:
        try:
            return self._pool.submit(task, *arguments).result()
        except BrokenProcessPool:
            self._pool = self._start()
            return [CRASHED]

    def close(self) -> None:
        self._pool.shutdown()


def offered() -> Iterator[Compiler]:
    """A compiler for the tests of a module, which are skipped where TensorRT-RTX is not wanted or not installed."""
    import pytest  # not in the compiler's own process

    if os.environ.get("LAYER_FAST_TENSORRT") == "0":
        pytest.skip("LAYER_FAST_TENSORRT=0: TensorRT is not wanted")
    if not installed():
        pytest.skip("TensorRT-RTX is not installed: pip install tensorrt-rtx-cu13 failed or was not tried")
    made = Compiler()
    yield made
    made.close()


def build(model: bytes, sizes: tuple[int, ...]) -> list[str]:
    """One engine with a dynamic batch, thrown away. No timing cache: that would ask for a GPU."""
    trt = find()
    log = _log(trt)
    builder = trt.Builder(log)
    flags = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    network = builder.create_network(0 if flags is None else 1 << int(flags))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(model):
        return [_said(parser.get_error(i)) for i in range(parser.num_errors)] or ["the parser gives no reason"]
    profile, config = builder.create_optimization_profile(), builder.create_builder_config()
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        dims = tuple(tensor.shape)
        rest = [d if d >= 0 else sizes[k] for k, d in enumerate(dims) if k > 0]
        batches = BATCHES if dims[0] < 0 else (dims[0],) * 3
        profile.set_shape(tensor.name, *([batch, *rest] for batch in batches))
    config.add_optimization_profile(profile)
    engine = builder.build_serialized_network(network, config)
    return [] if engine is not None else log.lines or ["the builder gives no reason"]


def _said(error: Any) -> str:
    """The parser names the node where it knows it."""
    node = f"node {error.node_name()!r} ({error.node_operator()}): " if error.node_name() else ""
    return node + str(error.desc())


def _log(trt: Any) -> Any:
    """A logger that keeps the errors."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.lines.append(message)

    return Log()
