"""Engines run graphs. They take and return arrays and know nothing of layers or scans."""

from __future__ import annotations

from ..errors import EngineError
from .base import Arrays, Engine, run_padded

__all__ = ["Arrays", "Engine", "available_engines", "choose_engine", "engine_facts", "open_engine", "run_padded"]

_INSTALL = {"onnxruntime": "onnxruntime", "openvino": "'layer_fast[openvino]'", "torch": "'layer_fast[torch]'"}


def available_engines() -> dict[str, str]:
    """Engine name -> version, or "missing: " and what to type. Nothing is imported."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name, package in _INSTALL.items():
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = f"missing: pip install {package}"
    return found


def choose_engine(wanted: str) -> str:
    """Check that the wanted engine can run here; "auto" without graphs to measure is the one that is always there.
    Raises EngineError with the reason and what to type."""
    name = "onnxruntime" if wanted == "auto" else wanted
    found = available_engines()
    if name not in found:
        raise EngineError(f"unknown engine {name!r}; known: {', '.join(found)}")
    if found[name].startswith("missing"):
        raise EngineError(f"engine {name!r} is {found[name]}")
    return name


def engine_facts(name: str, threads: int, precision: str = "float32") -> dict[str, str | int]:
    """What is fixed at the start of a run because it may move low bits. Part of every record's key."""
    return {"engine": name, "version": available_engines()[name], "precision": precision, "threads": threads}


def open_engine(name: str, model: bytes, *, threads: int, label: str, precision: str = "float32") -> Engine:
    """Load a graph into the named engine. Raises EngineError: unknown or missing engine, refused graph or precision."""
    choose_engine(name)
    check_precision(name, precision)
    if name == "openvino":
        from .openvino import OpenVinoEngine

        return OpenVinoEngine(model, threads=threads, label=label, precision=precision)
    if name == "torch":
        from .torch import TorchEngine

        return TorchEngine(model, threads=threads, label=label)
    from .onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(model, threads=threads, label=label)


def check_precision(name: str, precision: str) -> None:
    """Raise EngineError where this engine does not compute in this precision."""
    if precision != "float32" and name not in ("openvino", "auto"):
        raise EngineError(f"precision {precision!r}: only engine 'openvino' computes in it, got engine {name!r}")
