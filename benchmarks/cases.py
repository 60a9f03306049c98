"""The named inputs of all benchmarks: sizes once, data from fixed seeds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Shape = tuple[int, int, int]

NUM_LAYERS = 6


@dataclass(frozen=True)
class Case:
    """One size: the scan's grid, the model's grid, the grid of a class activation map, coalitions at once."""

    name: str
    scan: Shape
    model: Shape
    cam: Shape
    sets: int


SMALL = Case("small", (24, 160, 64), (24, 80, 32), (3, 10, 8), 8)  # the phantom's default scan
S = Case("S", (320, 256, 200), (128, 128, 128), (16, 16, 16), 4)  # the headline workload
CASES = (SMALL, S)


@cache
def volume(case: Case, dtype: str) -> Array:
    """Speckle on a depth gradient, as B-mode has it; about 3 % zeros."""
    rng = np.random.default_rng(1)
    depth = np.linspace(180, 60, case.scan[1], dtype=np.float32)[None, :, None]
    values = depth * rng.gamma(4.0, 0.25, case.scan).astype(np.float32)
    values[rng.random(case.scan, np.float32) < 0.03] = 0
    return values.clip(0, 255).astype(dtype)


@cache
def labels(case: Case) -> Array:
    """Seven wavy sheets along depth: long runs of one label along x, as tissue has."""
    z, y, x = np.indices(case.scan, np.float32)
    wave = y + 6 * np.sin(0.05 * x) + 4 * np.sin(0.08 * z)
    return np.clip(wave * (NUM_LAYERS + 1) / case.scan[1], 0, NUM_LAYERS).astype(np.uint8)


@cache
def saliency(case: Case) -> Array:
    return np.random.default_rng(2).standard_normal(case.scan, np.float32)


@cache
def cam(case: Case) -> Array:
    return np.random.default_rng(3).standard_normal(case.cam, np.float32)


@cache
def logits(case: Case) -> Array:
    return np.random.default_rng(4).standard_normal((NUM_LAYERS + 1, *case.cam), np.float32)


@cache
def model_input(case: Case) -> tuple[Array, Array, Array]:
    """(image (1, z, y, x), labels, fill image) on the model's grid."""
    rng = np.random.default_rng(5)
    z, y, x = np.indices(case.model, np.float32)
    sheets = np.clip((y + 3 * np.sin(0.1 * x + z)) * (NUM_LAYERS + 1) / case.model[1], 0, NUM_LAYERS)
    image, fill = (rng.random((1, *case.model), np.float32) for _ in range(2))
    return image, sheets.astype(np.uint8), fill


def coalitions(case: Case) -> Array:
    return (np.arange(1, case.sets + 1)[:, None] >> np.arange(NUM_LAYERS + 1) & 1).astype(bool)
