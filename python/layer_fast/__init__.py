"""Which tissue layers of 3D ultrasound of the back carry a classifier's prediction.

Research use only. Not a medical device. What a model uses is not what causes pain.

Everything public is here or in the modules named in `__all__`; heavy ones are loaded on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .errors import DeviceError, EngineError, LayerFastError, ModelError, ReadError, TableError
from .types import GROUPS, LAYERS, Failure, LayerMask, Scan, ScanRecord, ScanRef, Volume

if TYPE_CHECKING:
    from . import graphs, guards, models, phantom, quantify
    from .cohort import run_cohort
    from .config import RunConfig
    from .elsewhere import quantify_map
    from .export import export_onnx, export_torch
    from .info import available
    from .io import load_table, read, read_labels, read_scan
    from .models import load_folds, load_models
    from .ops import (
        argmax_resample,
        intensity_stats,
        layer_compose,
        layer_reduce,
        layer_weights,
        normalize,
        resample,
        resample_labels,
    )
    from .pipeline import Pipeline

_HOME = {
    "ops": ("resample", "resample_labels", "argmax_resample", "intensity_stats", "normalize", "layer_reduce",
            "layer_weights", "layer_compose"),
    "io": ("read", "read_labels", "read_scan", "load_table"),
    "models": ("load_models", "load_folds"),
    "pipeline": ("Pipeline",),
    "cohort": ("run_cohort",),
    "elsewhere": ("quantify_map",),
    "export": ("export_onnx", "export_torch"),
    "config": ("RunConfig",),
    "info": ("available",),
}  # fmt: skip
_WHERE = {name: module for module, names in _HOME.items() for name in names}
_MODULES = ("graphs", "guards", "models", "phantom", "quantify")

__all__ = [
    "GROUPS", "LAYERS", "DeviceError", "EngineError", "Failure", "LayerFastError", "LayerMask", "ModelError",
    "Pipeline", "ReadError", "RunConfig", "Scan", "ScanRecord", "ScanRef", "TableError", "Volume", "__version__",
    "argmax_resample", "available", "export_onnx", "export_torch", "graphs", "guards", "intensity_stats",
    "layer_compose", "layer_reduce", "layer_weights",
    "load_folds", "load_models", "load_table", "models", "normalize", "phantom", "quantify", "quantify_map", "read",
    "read_labels", "read_scan", "resample", "resample_labels", "run_cohort",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _WHERE:
        value = getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
