"""Writes one digest a case over all operations, for comparison between instruction sets and thread counts."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import numpy as np

from layer_fast import ops

OBLIQUE = np.array([[0.9, 0.2, -0.1, 0.3], [-0.15, 1.1, 0.05, -0.6], [0.1, -0.2, 0.8, 1.2], [0, 0, 0, 1.0]])
FLIPPED = np.array([[0.7, 0, 0, 0.1], [0, -1.3, 0, 40], [0, 0, 2.9, -3.0], [0, 0, 0, 1.0]])


def show(name: str, array: Any) -> None:
    sys.stdout.write(f"{name} {hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]}\n")


def volume_of(dtype: str) -> Any:
    """Noise with a hole and an infinity where the dtype has them."""
    volume = np.random.default_rng(3).normal(120, 60, (21, 37, 53))
    if dtype != "float32":
        return volume.clip(0, 255).astype(dtype)
    volume[3, 4, 5], volume[10, 20, 30] = np.nan, np.inf
    return volume.astype("float32")


def resampling() -> None:
    for dtype in ("uint8", "int16", "uint16", "float32"):
        volume = volume_of(dtype)
        for kind in ("nearest", "linear", "cubic", "bspline"):
            for shape in ((9, 17, 29), (30, 50, 80), (1, 37, 7)):
                show(f"{dtype} {kind} {shape}", ops.resample(volume, shape, interpolation=kind))
                show(f"{dtype} {kind} {shape} own", ops.resample(volume, shape, interpolation=kind, dtype=dtype))
            for grid_map in (OBLIQUE, FLIPPED):
                show(
                    f"{dtype} {kind} mapped", ops.resample(volume, (11, 19, 23), interpolation=kind, grid_map=grid_map)
                )
        show(f"{dtype} antialias", ops.resample(volume, (4, 9, 11), antialias=True, window=(20, 200)))


def labels() -> None:
    logits = np.random.default_rng(4).normal(size=(7, 8, 12, 15)).astype(np.float32)
    for shape in ((5, 6, 7), (16, 37, 50)):
        show(f"argmax {shape}", ops.argmax_resample(logits, shape))
    show("argmax oblique", ops.argmax_resample(logits, (9, 9, 9), grid_map=OBLIQUE))
    mask = np.random.default_rng(5).integers(0, 7, (13, 22, 41)).astype(np.uint8)
    show("labels nearest", ops.resample_labels(mask, (7, 30, 60)))
    show("labels fraction", ops.resample_labels(mask, (5, 9, 11), mode="fraction", num_labels=7))


if __name__ == "__main__":
    resampling()
    labels()
