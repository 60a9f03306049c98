"""scipy.ndimage, one thread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rivals import Inputs, Method

PACKAGE = "scipy"
THREADED = False
Array = NDArray[Any]


def zoom(volume: Array, shape: tuple[int, ...], order: int, mode: str = "nearest", out: Any = np.float32) -> Array:
    """Half-pixel convention; scipy's own default, grid_mode=False, aligns corners."""
    factors = [m / n for m, n in zip(shape, volume.shape, strict=True)]
    out = None if order == 0 else out
    return ndimage.zoom(volume, factors, output=out, order=order, mode=mode, grid_mode=True)


def _zoom(order: int, mode: str = "nearest") -> Any:
    return lambda inputs: lambda: zoom(inputs["volume"], inputs["shape"], order, mode)


def _affine(inputs: Inputs) -> Any:
    matrix, volume, shape = inputs["grid_map"], inputs["volume"], inputs["shape"]
    return lambda: ndimage.affine_transform(volume, matrix, output_shape=shape, order=1, mode="nearest")


def _argmax(inputs: Inputs) -> Any:
    def call() -> Array:
        logits, shape = inputs["logits"], inputs["shape"]
        full = np.empty((len(logits), *shape), np.float32)
        for one, out in zip(logits, full, strict=True):
            zoom(one, shape, 1, out=out)
        return full.argmax(axis=0).astype(np.uint8)

    return call


def _label_functions(inputs: Inputs) -> Any:
    values, labels, index = inputs["values"], inputs["labels"], np.arange(7)

    def call() -> dict[str, Array]:
        return {
            "count": np.bincount(labels.ravel(), minlength=7),
            "sum": np.asarray(ndimage.sum_labels(values, labels, index)),
            "mean": np.asarray(ndimage.mean(values, labels, index)),
            "min": np.asarray(ndimage.minimum(values, labels, index)),
            "max": np.asarray(ndimage.maximum(values, labels, index)),
            "std": np.asarray(ndimage.standard_deviation(values, labels, index)),
        }

    return call


METHODS = {
    "linear": {"scipy zoom": Method(_zoom(1))},
    "nearest": {"scipy zoom": Method(_zoom(0))},
    "bspline": {"scipy zoom": Method(_zoom(3, "mirror"), "the same (mode mirror)")},
    "oblique": {"scipy affine_transform": Method(_affine)},
    "argmax": {"scipy zoom + argmax": Method(_argmax)},
    "reduce": {"scipy.ndimage": Method(_label_functions)},
}
