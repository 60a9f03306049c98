"""OpenCV: volumes as pictures with many channels, 2D passes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from rivals import Inputs, Method

PACKAGE = "opencv-python-headless"
THREADED = True


def set_threads(count: int) -> None:
    cv2.setNumThreads(count)


def _passes(how: int) -> Any:
    """(y, x) slice by slice, then z of the result as the height of one wide picture."""

    def prepare(inputs: Inputs) -> Any:
        volume, (mz, my, mx) = inputs["volume"], inputs["shape"]

        def call() -> Any:
            flat = np.empty((len(volume), my, mx), np.float32)
            for plane, target in zip(volume, flat, strict=True):
                cv2.resize(plane.astype(np.float32, copy=False), (mx, my), dst=target, interpolation=how)
            wide, out = flat.reshape(len(volume), -1), np.empty((mz, my * mx), np.float32)
            parts = max(1, my * mx // 30000)
            for part, target in zip(*(np.array_split(a, parts, axis=1) for a in (wide, out)), strict=True):
                cv2.resize(part, (part.shape[1], mz), dst=target, interpolation=how)
            return out.reshape(mz, my, mx)

        return call

    return prepare


def _other_cubic(inputs: Inputs, _: Any) -> Any:
    from cases.oracles import keys

    return keys(inputs["volume"], inputs["shape"], -0.75)


METHODS = {
    "linear": {"OpenCV resize, 2D passes": Method(_passes(cv2.INTER_LINEAR))},
    "cubic": {
        "OpenCV resize, 2D passes": Method(_passes(cv2.INTER_CUBIC), "Keys a = -0.75, ours -0.5", expected=_other_cubic)
    },
}
