"""nnU-Net v2's default resampling, which calls scikit-image and scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg

from rivals import Inputs, Method

PACKAGE = "nnunetv2"
THREADED = False


def _data(order: int) -> Any:
    return lambda inputs: lambda: resample_data_or_seg(inputs["volume"][None], inputs["shape"], order=order)


def _float_data(order: int) -> Any:
    """It gives back the dtype that comes in, so uint8 is made float first, as nnU-Net does on reading; not timed."""

    def prepare(inputs: Inputs) -> Any:
        volume = inputs["volume"][None].astype(np.float32, copy=False)
        return lambda: resample_data_or_seg(volume, inputs["shape"], order=order)

    return prepare


def _seg(inputs: Inputs) -> Any:
    return lambda: resample_data_or_seg(inputs["volume"][None], inputs["shape"], is_seg=True, order=1)


def _linear_one_hot(inputs: Inputs, ours: Any) -> Any:
    """The label with the largest indicator, each interpolated on its own; where two share it, the nearest voxel's."""
    from cases.oracles import keep_linear

    labels, best, out = inputs["volume"], np.zeros(inputs["shape"]), ours.copy()
    scores = {label: keep_linear((labels == label).astype(np.float64), inputs["shape"]) for label in np.unique(labels)}
    for label, score in scores.items():
        best = np.maximum(best, np.where(ours == label, score, best))
    for label, score in scores.items():
        out[score > best + 1e-6] = label
        best = np.maximum(best, np.where(score > best + 1e-6, score, best))
    return out


def _cut(inputs: Inputs, ours: Any) -> Any:
    return np.clip(ours, inputs["volume"].min(), inputs["volume"].max())


def _first(result: Any) -> Any:
    return result[0]


METHODS = {
    "linear": {"nnU-Net resample_data_or_seg, order 1": Method(_float_data(1), convert=_first)},
    "nearest": {
        # Where two labels share a voxel equally, rounding decides.
        "nnU-Net resample_data_or_seg": Method(
            _seg, "indicators linear, then the largest", expected=_linear_one_hot, tolerance=1e-3, convert=_first
        )
    },
    "bspline": {
        "nnU-Net resample_data_or_seg, order 3": Method(
            _data(3), "border: nearest, ours mirror; cut to the input's range", _cut, crop=5, convert=_first
        )
    },
}
