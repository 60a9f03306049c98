"""Seeded inputs of the benchmarks by NumPy alone: speckle, layers, maps; never zeros or noise where tissue is meant."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Shape = tuple[int, int, int]

NUM_LAYERS = 6
KEPT = 8  # inputs held at once: a case needs few, and large ones must go before the next case


@dataclass(frozen=True)
class Size:
    """Grids (z, y, x) of one run: scan S, large scan B, network input, activation map, image of the coalitions."""

    name: str
    s: Shape
    b: Shape
    model: Shape
    cam: Shape
    image: Shape
    coalitions: int
    maps: int


FULL = Size("full", (320, 256, 200), (512, 384, 256), (128,) * 3, (16,) * 3, (96,) * 3, 128, 32)
QUICK = Size("quick", (40, 32, 25), (64, 48, 32), (16,) * 3, (4,) * 3, (12,) * 3, 8, 4)


def scaled(shape: Shape, factor: float) -> Shape:
    z, y, x = (round(n * factor) for n in shape)
    return z, y, x


@lru_cache(KEPT)
def labels(shape: Shape) -> Array:
    """Seven wavy sheets along y, the depth: uint8, long runs of one label along x, as tissue has; fasciae are thin."""
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    wave = 0.03 * np.sin(9.0 * x / shape[2]) + 0.025 * np.sin(7.0 * z / shape[0] + 2.0 * x / shape[2])
    depth = (y / shape[1] + wave).astype(np.float32)
    edges = np.array([0.06, 0.13, 0.33, 0.37, 0.62, 0.66], np.float32)  # background, dermis, fat, fascia ...
    return np.digitize(depth, edges).astype(np.uint8)


@lru_cache(KEPT)
def random_labels(shape: Shape) -> Array:
    """The worst case for anything that hopes for runs: every voxel another label."""
    return np.random.default_rng(7).integers(0, NUM_LAYERS + 1, shape, np.uint8)


@lru_cache(KEPT)
def speckle(shape: Shape, dtype: str) -> Array:
    """B-mode as it comes from a scanner: log-compressed speckle on layers, darker with depth, black outside the fan."""
    echo = np.array([0.2, 0.9, 0.45, 1.0, 0.5, 1.0, 0.65], np.float32)[labels(shape)]
    rng = np.random.default_rng(1)
    power = sum(_smooth(rng.standard_normal(shape, np.float32)) ** 2 for _ in range(2))
    depth = np.linspace(0, 25, shape[1], dtype=np.float32)[None, :, None]
    values = 150 + 50 * np.log10(power * echo**2 + 1e-4) - depth
    values[_outside_fan(shape)] = 0
    return np.clip(values, 0, 255).astype(dtype)


def _smooth(noise: Array) -> Array:
    """Speckle grains of about two voxels."""
    for axis in range(3):
        noise = noise + np.roll(noise, 1, axis)
    return noise / np.float32(np.sqrt(8))


def _outside_fan(shape: Shape) -> Array:
    """Corners at the top, left and right of the fan, the same in each z: bool of the whole shape."""
    y, x = np.ogrid[: shape[1], : shape[2]]
    corner = np.abs(x / (shape[2] - 1) - 0.5) > 0.3 + 0.35 * y / shape[1]
    return np.broadcast_to(corner, shape)


@lru_cache(KEPT)
def saliency(shape: Shape) -> Array:
    """A map on the scan's grid: smooth, signed, larger in some layers."""
    noise = _smooth(np.random.default_rng(2).standard_normal(shape, np.float32))
    return noise + np.linspace(-0.5, 1.0, NUM_LAYERS + 1, dtype=np.float32)[labels(shape)]


@lru_cache(KEPT)
def coarse(shape: Shape, count: int = 1) -> Array:
    """(count, *shape) maps of a network's last stage, before any clipping."""
    return np.random.default_rng(3).standard_normal((count, *shape), np.float32)


@lru_cache(KEPT)
def logits(shape: Shape) -> Array:
    """(7, *shape): what a fair segmenter says of the wavy layers, with noise."""
    mask = labels(shape)
    out = np.random.default_rng(4).standard_normal((NUM_LAYERS + 1, *shape), np.float32)
    for layer in range(NUM_LAYERS + 1):
        out[layer] += 4 * (mask == layer)
    return out


@lru_cache(KEPT)
def image(shape: Shape) -> tuple[Array, Array]:
    """Two channels (2, *shape) as a network gets them, and their fill of the same shape."""
    rng = np.random.default_rng(5)
    return rng.standard_normal((2, *shape), np.float32), rng.standard_normal((2, *shape), np.float32)


def coalitions(count: int) -> Array:
    """The first `count` subsets of the layers and the background, bool (count, 7)."""
    return (np.arange(count)[:, None] >> np.arange(NUM_LAYERS + 1) & 1).astype(bool)


def oblique_map(shape_in: Shape, shape_out: Shape) -> Array:
    """Output index -> input index, 4 x 4: turned by 12 and 7 degrees, shrunk so far that every voxel lies inside."""
    a, b = np.deg2rad(12), np.deg2rad(7)
    turn = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn = turn @ np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    middle_in, middle_out = ((np.array(s) - 1) / 2 for s in (shape_in, shape_out))
    reach = np.abs(turn) @ middle_out
    scale = 0.98 * np.min(middle_in / reach)
    matrix = np.eye(4)
    matrix[:3, :3] = scale * turn
    matrix[:3, 3] = middle_in - scale * turn @ middle_out
    return matrix
