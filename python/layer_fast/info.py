"""What is here and what is missing, and why."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from . import _version, ops
from .config import thread_budget
from .engines import available_engines
from .engines.inventory import gpus

_OPTIONAL = {"captum": "torch", "cupy-cuda13x": "gpu", "tensorrt-rtx-cu13": "tensorrt", "pydicom": "dicom"}


def available() -> dict[str, Any]:
    """Version, native build (compiler, ISA, CUDA), devices, engines and optional packages; each missing part says
    what to type; "gpu" is engines.inventory.gpus. Nothing heavy is imported and no GPU context is made."""
    return {
        "layer_fast": _version.__version__,
        "python": platform.python_version(),
        "threads": thread_budget(),
        "native": ops.build_info(),
        "engines": available_engines(),
        "gpu": gpus(),
        "optional": {name: _installed(name, extra) for name, extra in _OPTIONAL.items()},
    }


def _installed(name: str, extra: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return f"missing: pip install 'layer_fast[{extra}]'"
