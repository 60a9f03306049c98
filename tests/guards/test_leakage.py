"""Leakage against a pool and an interpolation written apart, closed forms, flags on planted maps."""

from __future__ import annotations

import numpy as np
import pytest
from coarse_maps import pooled, upsampled
from numpy.typing import NDArray

from layer_fast.guards import leakage

CELLS = (2, 6, 3)
SHAPE = (8, 48, 12)


def bands(*thickness: int) -> NDArray[np.uint8]:
    """Layers 0, 1, ... of so many voxels along depth."""
    column = np.repeat(np.arange(len(thickness)), thickness)
    return np.broadcast_to(column[None, :, None], (SHAPE[0], len(column), SHAPE[2])).astype(np.uint8)


def test_matrix_is_pool_then_interpolate_then_mean() -> None:
    rng = np.random.default_rng(0)
    labels = np.sort(rng.integers(0, 7, SHAPE), axis=1).astype(np.uint8)
    found = leakage(labels, CELLS)
    for j in range(7):
        field = upsampled(pooled((labels == j).astype(float), CELLS), SHAPE)
        for k in range(7):
            expected = field[labels == k].mean() if (labels == k).any() else np.nan
            assert found.matrix[j, k] == pytest.approx(expected, abs=2e-6, nan_ok=True)
    there = ~np.isnan(found.into)
    assert np.nansum(found.matrix, axis=0)[there] == pytest.approx(1.0, abs=1e-6)


def test_thin_layer_between_thick_ones_leaks_and_thick_ones_do_not() -> None:
    labels = bands(8, 8, 14, 2, 8, 0, 8)
    found = leakage(labels, (8, 6, 12))
    flags = found.flags(np.ones((8, 6, 12), np.float32))
    assert "leaky" in flags[3] and "border_only" in flags[3]
    assert "leaky" not in flags[1] + flags[2] + flags[6]
    assert found.source[3] in (2, 4)
    assert np.isnan(found.into[5]) and found.source[5] == -1 and flags[5] == ()


def test_no_leakage_where_cells_are_voxels() -> None:
    labels = bands(4, 4, 4, 4, 4, 4, 4)
    found = leakage(labels, (8, 28, 12))
    assert found.into == pytest.approx(np.zeros(7), abs=1e-7)
    assert found.border_share == pytest.approx(np.zeros(7), abs=1e-12)


def test_bands_add_up_to_the_mean_of_the_interpolated_map() -> None:
    rng = np.random.default_rng(1)
    labels = np.sort(rng.integers(0, 7, SHAPE), axis=1).astype(np.uint8)
    values = rng.random(CELLS).astype(np.float32)
    found = leakage(labels, CELLS)
    mean, core, border = found.bands(values)
    full = upsampled(values.astype(float), SHAPE)
    for k in range(7):
        assert mean[k] == pytest.approx(full[labels == k].mean(), rel=1e-5)
        share = found.border_share[k]
        parts = (share * border[k] if share > 1e-9 else 0.0) + (0.0 if np.isnan(core[k]) else (1 - share) * core[k])
        assert parts == pytest.approx(mean[k], rel=1e-9)


def test_map_of_the_neighbour_is_border_driven_and_the_layers_own_is_not() -> None:
    labels, grid = bands(8, 8, 12, 6, 14, 0, 0), (8, 12, 12)
    found = leakage(labels, grid)
    neighbour = pooled((labels == 3).astype(float), grid).astype(np.float32)
    own = pooled((labels == 4).astype(float), grid).astype(np.float32)
    assert "border_driven" in found.flags(neighbour)[4]
    assert "border_driven" not in found.flags(own)[4]
    assert "border_driven" not in found.flags(neighbour)[3]


def test_label_above_six_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected labels 0\.\.6, got 7"):
        leakage(np.full((2, 4, 2), 7, np.uint8), (1, 2, 1))
