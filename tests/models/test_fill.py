"""The fill image and the profile against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from layer_fast.models import depth_bins, fill_image, mean_profile


def slow_bins(labels: np.ndarray, bins: int, axis: int) -> np.ndarray:
    moved = np.moveaxis(labels, axis, -1)
    out = np.zeros(moved.shape, int)
    for place in np.ndindex(moved.shape[:2]):
        column = moved[place]
        for i, label in enumerate(column):
            count = int((column == label).sum())
            rank = int((column[:i] == label).sum())
            out[place][i] = int(np.floor(bins * (rank + 0.5) / count + 1e-12))
    return np.moveaxis(out, -1, axis)


@pytest.mark.parametrize(("name", "axis"), [("z", 0), ("y", 1), ("x", 2)])
def test_bins_and_fill_equal_the_loop(name: str, axis: int) -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 7, (6, 23, 5)).astype(np.uint8)
    labels[:, 10:] = np.sort(labels[:, 10:], axis=1)
    expected = slow_bins(labels, 16, axis)
    np.testing.assert_array_equal(depth_bins(labels, 16, depth_axis=name), expected)
    profile = rng.random((2, 7, 16)).astype(np.float32)
    fill = fill_image(labels, profile, name)
    assert fill.shape == (2, 6, 23, 5) and fill.dtype == np.float32
    for channel in range(2):
        np.testing.assert_array_equal(fill[channel], profile[channel][labels, expected])


def test_profile_is_the_mean_of_subject_means() -> None:
    labels = np.zeros((1, 14, 1), np.uint8)
    labels[0, :, 0] = np.repeat(np.arange(7), 2)
    image = np.linspace(0.0, 1.0, 14, dtype=np.float32).reshape(1, 1, 14, 1)
    scans = [("a", image, labels), ("a", image, labels), ("b", 0.5 * image, labels)]
    profile = mean_profile(iter(scans), 2)
    np.testing.assert_allclose(profile.ravel(), 0.75 * image.ravel(), rtol=1e-6)
    with pytest.raises(ValueError, match="label 6"):
        mean_profile([("a", image, np.minimum(labels, 5).astype(np.uint8))], 2)


def test_empty_bins_are_bridged() -> None:
    labels = np.zeros((1, 14, 1), np.uint8)
    labels[0, :, 0] = np.repeat(np.arange(7), 2)  # two voxels a layer: bins 1 and 3 of 4 are hit, 0 and 2 are not
    image = np.arange(14, dtype=np.float32).reshape(1, 1, 14, 1) / 14
    profile = mean_profile([("a", image, labels)], 4)[0]
    np.testing.assert_allclose(profile[0] * 14, [0, 0, 0.5, 1], atol=1e-6)


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.\.6"):
        depth_bins(np.full((1, 2, 1), 7, np.uint8), 16)
    with pytest.raises(ValueError, match="depth_axis"):
        depth_bins(np.zeros((1, 2, 1), np.uint8), 16, depth_axis="depth")
