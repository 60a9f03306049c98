"""Nulls by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from coarse_maps import upsampled
from numpy.typing import NDArray

from layer_fast.guards import depth_nulls, lateral_nulls, other_mask_nulls


def random_case(seed: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return rng.random((2, 5, 3)).astype(np.float32), np.sort(rng.integers(0, 7, (4, 20, 6)), axis=1).astype(np.uint8)


def brute(values: NDArray[np.float32], labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    full = upsampled(values.astype(float), labels.shape)
    return np.array([full[labels == k].mean() if (labels == k).any() else np.nan for k in range(7)])


def test_depth_nulls_are_the_mask_turned_along_depth() -> None:
    values, labels = random_case(0)
    found = depth_nulls(values, labels)
    expected = np.array([brute(values, np.roll(labels, i, 1)) for i in range(1, 20)])
    assert found.observed == pytest.approx(brute(values, labels), abs=1e-6)
    assert found.null == pytest.approx(expected, abs=1e-6)
    assert found.p == pytest.approx((1 + (expected >= brute(values, labels)).sum(axis=0)) / 20)


def test_lateral_nulls_are_all_shifts_of_the_map() -> None:
    values, labels = random_case(1)
    found = lateral_nulls(values, labels)
    moved = [np.roll(values, (i, j), (0, 2)) for i in range(2) for j in range(3)][1:]
    assert found.null == pytest.approx(np.array([brute(m, labels) for m in moved]), abs=1e-6)
    flat = np.broadcast_to(np.arange(5, dtype=np.float32)[None, :, None], (2, 5, 3))
    assert (lateral_nulls(np.ascontiguousarray(flat), labels).p == 1.0).all()  # follows depth and nothing else


def test_other_masks_and_absent_layers() -> None:
    values, labels = random_case(2)
    labels[labels == 5] = 6
    others = [random_case(s)[1] for s in (3, 4)]
    found = other_mask_nulls(values, labels, others)
    assert np.isnan(found.p[5]) and not np.isnan(found.p[[0, 1, 2, 3, 4, 6]]).any()
    with pytest.raises(ValueError, match=r"expected masks of shape \(4, 20, 6\)"):
        other_mask_nulls(values, labels, [labels[:2]])


def test_a_map_of_one_layer_is_higher_there_and_noise_is_not() -> None:
    column = np.repeat(np.arange(7), [4, 4, 6, 2, 8, 4, 12])
    labels = np.broadcast_to(column[None, :, None], (4, 40, 6)).astype(np.uint8)
    values = (labels == 4).astype(np.float32)
    p = depth_nulls(values, labels).p
    assert p[4] == pytest.approx(1 / 40) and p[6] > 0.2
    rng = np.random.default_rng(0)
    noise = [depth_nulls(rng.random((2, 10, 3)).astype(np.float32), labels).p[4] for _ in range(40)]
    assert np.mean(np.array(noise) <= 0.05) < 0.2
