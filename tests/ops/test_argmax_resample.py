"""argmax_resample against full-size float64 logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import oracle_resampling as oracle
from layer_fast.ops import argmax_resample, resample
from tolerances import RESAMPLE_RELATIVE

OBLIQUE = np.array([[0.4, 0.1, 0, 0.3], [-0.1, 0.5, 0.05, 0.6], [0, -0.1, 0.3, 0.2], [0, 0, 0, 1.0]])


def logits_of(classes: int = 7, shape: tuple[int, int, int] = (5, 6, 7)) -> Any:
    return np.random.default_rng(5).normal(size=(classes, *shape)).astype(np.float32)


@pytest.mark.parametrize("grid_map", [None, OBLIQUE, np.diag([0.5, 0.3, -0.2, 1.0])])
@pytest.mark.parametrize("shape", [(5, 6, 7), (6, 9, 10), (2, 3, 1)])
def test_agrees_with_full_size_logits(shape: tuple[int, int, int], grid_map: Any) -> None:
    labels = argmax_resample(logits_of(), shape, grid_map=grid_map)
    full = oracle.argmax_resample(logits_of(), shape, grid_map)
    assert labels.dtype == np.uint8
    chosen = np.take_along_axis(full, labels[None].astype(int), 0)[0]
    lost = full.max(0) - chosen  # 0 where the oracle picks the same class
    assert lost.max() <= 2 * RESAMPLE_RELATIVE * np.abs(full).max()
    assert (labels == full.argmax(0)).mean() > 0.99


def test_is_the_argmax_of_resample_bit_for_bit() -> None:
    logits = logits_of()
    full = np.stack([resample(one, (8, 30, 21)) for one in logits])
    np.testing.assert_array_equal(argmax_resample(logits, (8, 30, 21)), full.argmax(0))


def test_ties_go_to_the_lowest_class() -> None:
    logits = np.stack([logits_of(1)[0], logits_of(1)[0] + 1, logits_of(1)[0] + 1])
    assert (argmax_resample(logits, (4, 11, 13)) == 1).all()
    assert (argmax_resample(np.zeros((3, 2, 2, 2), np.float32), (4, 4, 4)) == 0).all()


@pytest.mark.cpu_only
def test_threads_do_not_change_a_byte() -> None:
    results = {argmax_resample(logits_of(), (20, 130, 90), threads=n).tobytes() for n in (1, 2, 3, 8)}
    assert len(results) == 1


def test_many_classes_and_one() -> None:
    assert argmax_resample(logits_of(256, (1, 1, 1)), (2, 2, 2)).max() == logits_of(256, (1, 1, 1)).argmax()
    assert (argmax_resample(logits_of(1) - 100, (2, 2, 2)) == 0).all()
    with pytest.raises(ValueError, match="at most 256 classes, got 257"):
        argmax_resample(logits_of(257, (1, 1, 1)), (2, 2, 2))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused_and_counted(value: float) -> None:
    logits = logits_of()
    logits[2, 1, 1, 1:3] = value
    with pytest.raises(ValueError, match=r"\[argmax_resample\] expected finite logits, got 2 that are NaN or infinite"):
        argmax_resample(logits, (4, 4, 4))


def test_wrong_arrays_are_refused() -> None:
    with pytest.raises(TypeError, match="float32, got float64"):
        argmax_resample(np.zeros((2, 2, 2, 2)), (2, 2, 2))
    with pytest.raises(ValueError, match="4 axes, got shape"):
        argmax_resample(np.zeros((2, 2, 2), np.float32), (2, 2, 2))
