"""scikit-image's resize, one thread."""

from __future__ import annotations

from typing import Any

import numpy as np
from skimage.exposure import rescale_intensity
from skimage.measure import regionprops_table
from skimage.transform import resize

from rivals import Inputs, Method

PACKAGE = "scikit-image"
THREADED = False


def _resize(antialias: bool) -> Any:
    keep = {"order": 1, "mode": "edge", "anti_aliasing": antialias, "preserve_range": True, "clip": False}
    return lambda inputs: lambda: resize(inputs["volume"], inputs["shape"], **keep)


def _gaussian(inputs: Inputs, _: Any) -> Any:
    from cases.oracles import gaussian_then_linear

    return gaussian_then_linear(inputs["volume"], inputs["shape"])


def _regions(inputs: Inputs) -> Any:
    labels, values = inputs["labels"].astype(np.int32) + 1, inputs["values"]  # 0 is never a region
    names = ("area", "intensity_mean", "intensity_min", "intensity_max", "intensity_std")

    def call() -> dict[str, Any]:
        found = regionprops_table(labels, values, properties=names)
        return dict(zip(("count", "mean", "min", "max", "std"), (found[n] for n in names), strict=True))

    return call


def _clip(inputs: Inputs) -> Any:
    def call() -> Any:
        low, high = np.percentile(inputs["volume"], inputs["percentiles"])
        return rescale_intensity(inputs["volume"], in_range=(low, high), out_range=(0.0, 1.0))

    return call


_OTHER = Method(_resize(True), "Gaussian, ours a wider triangle", expected=_gaussian)
METHODS = {
    "linear": {"skimage resize": Method(_resize(False))},
    "antialias": {"skimage resize": _OTHER},
    "clip": {"skimage rescale_intensity": Method(_clip)},
    "clip_u8": {"skimage rescale_intensity": Method(_clip)},
    "reduce": {"skimage regionprops_table": Method(_regions, note="no sum; labels as int32, not timed")},
}
