"""resample_labels: nearest labels, and fractions that keep a layer one voxel thin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import oracle_resampling as oracle
from layer_fast.ops import resample_labels
from tolerances import FRACTION_ABSOLUTE

SHAPES = [(9, 14, 11), (4, 5, 3), (12, 20, 31), (1, 1, 1), (18, 3, 11)]


def labels_of(shape: tuple[int, int, int] = (9, 14, 11)) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 7, shape).astype(np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_nearest_agrees_with_the_oracle(shape: tuple[int, int, int]) -> None:
    result = resample_labels(labels_of(), shape)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, oracle.resample_labels_nearest(labels_of(), shape))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mapped", [False, True])
def test_fractions_agree_with_the_oracle(shape: tuple[int, int, int], mapped: bool) -> None:
    grid_map = np.diag([1.7, -0.6, 3.0, 1.0]) + np.outer([1, 1, 1, 0], [0, 0, 0, 4.2]) if mapped else None
    result = resample_labels(labels_of(), shape, mode="fraction", num_labels=7, grid_map=grid_map)
    expected = oracle.resample_labels_fraction(labels_of(), shape, 7, grid_map)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=0, atol=FRACTION_ABSOLUTE)
    np.testing.assert_allclose(result.sum(0), 1, rtol=0, atol=FRACTION_ABSOLUTE)


def test_a_fascia_of_one_voxel_survives_shrinking() -> None:
    labels = np.zeros((4, 40, 8), np.uint8)
    labels[:, 20:] = 2
    labels[:, 21] = 1
    fractions = resample_labels(labels, (2, 10, 4), mode="fraction")
    assert 1 not in resample_labels(labels, (2, 10, 4))  # nearest loses it
    np.testing.assert_allclose(fractions[1].sum(), labels[labels == 1].size / 16, rtol=0, atol=FRACTION_ABSOLUTE * 8)
    np.testing.assert_array_equal(fractions[1, :, 5], 0.25)


@pytest.mark.parametrize("scale", [1e-17, -1e-17, 5e-324, 2e-16, 1e-15])
@pytest.mark.parametrize("offset", [0.0, 2.0, 3.25, 3.5, -7.0, 40.0])
def test_boxes_too_small_to_have_a_width_take_their_voxel(scale: float, offset: float) -> None:
    labels = labels_of()
    grid_map = np.diag([scale, 1, 1, 1])
    grid_map[0, 3] = offset
    result = resample_labels(labels, labels.shape, mode="fraction", num_labels=7, grid_map=grid_map)
    np.testing.assert_allclose(result.sum(0), 1, rtol=0, atol=FRACTION_ABSOLUTE)
    if scale != 1e-15 and offset != 3.5:  # there a box may hold the edge of two voxels
        voxel = labels[min(max(round(offset), 0), 8)]
        np.testing.assert_array_equal(result.argmax(0), np.broadcast_to(voxel, labels.shape))


@pytest.mark.cpu_only
def test_threads_do_not_change_a_byte() -> None:
    labels = labels_of((20, 90, 70))
    results = {resample_labels(labels, (30, 200, 50), mode="fraction", threads=n).tobytes() for n in (1, 2, 3, 8)}
    assert len(results) == 1


def test_num_labels_defaults_to_the_largest_label() -> None:
    labels = np.array([0, 5], np.uint8).reshape(1, 1, 2)
    assert resample_labels(labels, (1, 1, 1), mode="fraction").shape == (6, 1, 1, 1)
    assert resample_labels(labels, (1, 1, 1), mode="fraction", num_labels=256).shape == (256, 1, 1, 1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mode": "area"}, "mode nearest or fraction, got 'area'"),
        ({"mode": "fraction", "num_labels": 4}, "labels below num_labels = 4, got label 6"),
        ({"mode": "fraction", "num_labels": 0}, "num_labels from 1 to 256, got 0"),
        ({"mode": "fraction", "grid_map": np.eye(4)[[1, 0, 2, 3]]}, "mixes no axes"),
        ({"mode": "fraction", "grid_map": np.diag([1, 0, 1, 1.0])}, "scale of 0"),
    ],
)
def test_wrong_arguments_are_refused_by_name(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        resample_labels(labels_of(), (3, 3, 3), **options)


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(TypeError, match="labels of dtype uint8, got int64"):
        resample_labels(np.zeros((2, 2, 2), np.int64), (1, 1, 1))
