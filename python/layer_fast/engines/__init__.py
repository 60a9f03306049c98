"""Engines run graphs. They take and return arrays and know nothing of layers or scans."""

from __future__ import annotations

from typing import Any

from ..errors import EngineError
from .base import Arrays, Engine, Sizes, run_padded

__all__ = [
    "Arrays", "Engine", "Sizes", "available_engines", "choose_engine", "engine_facts", "facts_of", "graph_precision",
    "open_engine", "run_padded", "run_precision",
]  # fmt: skip

_INSTALL = {"onnxruntime": "onnxruntime", "openvino": "'layer_fast[openvino]'", "torch": "'layer_fast[torch]'"}


def available_engines() -> dict[str, str]:
    """Engine name -> version, or "missing: " and what to type. No engine is imported and no GPU context made."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name, package in _INSTALL.items():
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = f"missing: pip install {package}"
    return {**found, "tensorrt": _tensorrt()}


def _tensorrt() -> str:
    """It is of use only where a GPU is, so that its absence counts as missing too."""
    from . import cuda, tensorrt
    from .reasons import Unusable

    module, missing = tensorrt.installed(), cuda.driver().missing
    why = Unusable("no_library") if not module else missing
    return f"missing: {why}" if why is not None else tensorrt.installed_version() or f"{module}, version not known"


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


def engine_facts(name: str, threads: int, precision: str = "float32", device: str = "cpu") -> dict[str, str | int]:
    """What is fixed at the start of a run because it may move low bits. Part of every record's key."""
    facts: dict[str, str | int] = {"engine": name, "precision": precision, "threads": threads}
    if device == "cpu":
        return {**facts, "version": available_engines()[name]}
    from . import cuda, tensorrt

    library = tensorrt.find() if name == "tensorrt" else None
    version = f"{library.name} {library.version}" if library else available_engines()[name]
    gpu = cuda.first_gpu()
    return {**facts, "version": version, "device": device, "gpu": gpu.name, "compute_capability": gpu.capability}


def open_engine(
    name: str, model: bytes, *, threads: int, label: str, precision: str = "float32", device: str = "cpu",
    sizes: Sizes | None = None, cache: str = "",
) -> Engine:  # fmt: skip
    """Load a graph into the named engine. device: "cpu" or "cuda"; engine tensorrt is on "cuda" whatever it says.
    sizes, cache: for engines that are built for sizes and kept on disk. Raises EngineError: unknown or missing engine,
    refused graph or precision, no such device."""
    choose_engine(name)
    check_precision(name, precision)
    if name == "tensorrt":
        from .tensorrt import TensorRtEngine

        return TensorRtEngine(model, label=label, precision=precision, sizes=sizes, cache=cache)
    if name == "openvino":
        check_device(name, device)
        from .openvino import OpenVinoEngine

        return OpenVinoEngine(model, threads=threads, label=label, precision=precision)
    if name == "torch":
        from .torch import TorchEngine

        return TorchEngine(model, threads=threads, label=label, device=device)
    from .onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(model, threads=threads, label=label, device=device)


_PRECISIONS: dict[str, tuple[str, ...]] = {"openvino": ("bfloat16",), "tensorrt": ("float16", "mixed")}


def check_precision(name: str, precision: str) -> None:
    """Raise EngineError where this engine does not compute in this precision."""
    if precision in ("auto", "float32") or precision in _PRECISIONS.get(name, ()):
        return
    able = [engine for engine, known in _PRECISIONS.items() if precision in known]
    if name != "auto" or not able:
        raise EngineError(
            f"precision {precision!r}: only engine {' or '.join(map(repr, able))} computes in it, got engine {name!r}"
        )


def check_device(name: str, device: str) -> None:
    """Raise EngineError where this engine has no such device."""
    if (name, device) in (("openvino", "cuda"), ("tensorrt", "cpu")):
        other = "cpu" if device == "cuda" else "cuda"
        raise EngineError(f"engine {name!r} runs on device {other!r} only, got {device!r}; leave --device out")


def run_precision(name: str, precision: str) -> str:
    """What "auto" means: "mixed" in TensorRT, "float32" elsewhere."""
    return precision if precision != "auto" else "mixed" if name == "tensorrt" else "float32"


def graph_precision(precision: str, kind: str) -> str:
    """The precision of one graph of a run: "mixed" is half precision for predictions and class activation maps, which
    are a forward pass and one layer more, and float32 for gradients, which lose several per cent by it."""
    if precision != "mixed":
        return precision
    return "float32" if kind == "gradient" else "float16"


def facts_of(choice: dict[str, Any], threads: int, precision: str) -> dict[str, str | int]:
    """As `engine_facts`, of a choice that `choice.choose` made."""
    name, device = str(choice["chosen"]), str(choice.get("device", "cpu"))
    return engine_facts(name, threads, run_precision(name, precision), device)
