"""Labels and maps for the tests of the layer ops."""

from __future__ import annotations

import numpy as np


def layered(shape: tuple[int, int, int], num_layers: int, seed: int = 0) -> np.ndarray:
    """Layers stacked along y with a wavy border: long runs and mixed blocks."""
    z, y, x = np.indices(shape)
    wave = y + 1.5 * np.sin(0.1 * x + 0.3 * z + seed)
    return np.clip(wave * (num_layers + 1) / max(shape[1], 1), 0, num_layers).astype(np.uint8)


def signed_map(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 3)).astype(np.float32)
