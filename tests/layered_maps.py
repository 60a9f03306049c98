"""Labels and maps for the tests of the layer ops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def layered(shape: tuple[int, int, int], num_layers: int, seed: int = 0) -> np.ndarray:
    """Layers stacked along y with a wavy border: long runs and mixed blocks."""
    z, y, x = np.indices(shape)
    wave = y + 1.5 * np.sin(0.1 * x + 0.3 * z + seed)
    return np.clip(wave * (num_layers + 1) / max(shape[1], 1), 0, num_layers).astype(np.uint8)


def signed_map(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 3)).astype(np.float32)


def at_sample(volume: NDArray[Any], size: int, value: Any) -> NDArray[Any]:
    """The same volume with another value, or values, wherever a sample of `size` voxels looks, so that it misleads."""
    stride = np.uint64(volume.size // size)
    order = np.arange(size, dtype=np.uint64)
    with np.errstate(over="ignore"):
        noise = ((order + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(33)
    changed = volume.copy()
    changed.reshape(-1)[(order * stride + noise % stride).astype(np.int64)] = value
    return changed
