"""Engines run graphs. They take and return arrays and know nothing of layers or scans."""

from __future__ import annotations

from ..errors import EngineError
from .base import Arrays, Engine, run_padded

__all__ = ["Arrays", "Engine", "available_engines", "choose_engine", "engine_facts", "open_engine", "run_padded"]


def available_engines() -> dict[str, str]:
    """Engine name -> version, or the reason why it is missing."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return {"onnxruntime": installed("onnxruntime")}
    except PackageNotFoundError:
        return {"onnxruntime": "missing: pip install onnxruntime"}


def choose_engine(wanted: str) -> str:
    """Resolve "auto" and check that the wanted engine can run here. Raises EngineError with the reason."""
    name = "onnxruntime" if wanted == "auto" else wanted
    found = available_engines()
    if name not in found:
        raise EngineError(f"unknown engine {name!r}; known: {', '.join(found)}")
    if found[name].startswith("missing"):
        raise EngineError(f"engine {name!r} is {found[name]}")
    return name


def engine_facts(name: str, threads: int) -> dict[str, str | int]:
    """What is fixed at the start of a run because it may move low bits. Part of every record's key."""
    return {"engine": name, "version": available_engines()[name], "precision": "float32", "threads": threads}


def open_engine(name: str, model: bytes, *, threads: int, label: str, precision: str = "float32") -> Engine:
    """Load a graph into the named engine."""
    if name != "onnxruntime":
        raise EngineError(f"unknown engine {name!r}; known: onnxruntime")
    from .onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(model, threads=threads, label=label)
