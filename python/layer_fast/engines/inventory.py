"""What of a GPU this machine offers, told without importing an engine."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from . import available_engines, cuda
from .placing import LADDER
from .reasons import Unusable


def gpus() -> dict[str, Any]:
    """JSON-ready: "cuda" (newest CUDA of the driver, None without one), "gpus" (name, compute_capability, memory in
    GB), "missing" (why there is none, None where there is), "engines": by engine of the ladder its version, or
    "missing: " and why it cannot run on the GPU and what to type. That an engine starts shows only when it is opened.
    """
    found = cuda.driver()
    cards = [
        {"name": g.name, "compute_capability": g.capability, "memory_gb": round(g.memory_bytes / 1e9, 1)}
        for g in found.gpus
    ]
    version = "{}.{}".format(*found.cuda) if any(found.cuda) else None
    missing = None if found.missing is None else str(found.missing)
    return {"cuda": version, "gpus": cards, "missing": missing, "engines": {name: _engine(name) for name in LADDER}}


def _engine(name: str) -> str:
    version = available_engines()[name]
    if version.startswith("missing"):
        return version
    why: Unusable | None = cuda.driver().missing
    if name == "torch" and "+cpu" in version:
        why = Unusable("torch_without_cuda", why=f"torch {version}")
    if name == "onnxruntime" and not _has_cuda_provider():
        why = Unusable("no_provider", why="none for GPUs")
    return version if why is None else f"missing: {why}"


def _has_cuda_provider() -> bool:
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        return False
    return any((Path(spec.origin).parent / "capi").glob("*onnxruntime_providers_cuda.*"))
