"""Typed face of the native module: checks arguments, allocates results, returns the caller's kind of array.

Arrays are (z, y, x) in C order, from NumPy or any DLPack library on the CPU, or from CuPy or PyTorch on a CUDA device,
where the op runs on the library's current stream and returns at once unless it has to look at values. One file per
family of operations; only `_native.py` imports the native module.
"""

from __future__ import annotations

from typing import Any

from layer_fast.ops._intensity import intensity_stats, normalize
from layer_fast.ops._layers import layer_compose, layer_reduce, layer_weights
from layer_fast.ops._moments import IntensityStats, LayerMoments
from layer_fast.ops._native import core
from layer_fast.ops._resampling import argmax_resample, resample, resample_labels

__all__ = [
    "IntensityStats",
    "LayerMoments",
    "argmax_resample",
    "build_info",
    "intensity_stats",
    "layer_compose",
    "layer_reduce",
    "layer_weights",
    "normalize",
    "resample",
    "resample_labels",
]


def build_info() -> dict[str, Any]:
    """Version, compiler, flags, ISA, default threads and CUDA devices (or the reason why there are none)."""
    return core.build_info()
