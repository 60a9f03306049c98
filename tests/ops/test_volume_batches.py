"""A batch of volumes is resampled to the bytes of one call for each, on every twin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from layer_fast import ops

GRIDS = [((1, 1, 1), (2, 3, 4)), ((3, 17, 33), (5, 9, 70)), ((4, 40, 90), (2, 40, 45)), ((2, 300, 5), (3, 2, 2))]
OBLIQUE = np.array([[0.9, 0.05, 0.0, 0.1], [0.02, 1.1, -0.04, 0.3], [0.0, 0.03, 0.8, 0.2], [0.0, 0.0, 0.0, 1.0]])


def volumes(shape: tuple[int, ...], dtype: str, n: int = 3) -> np.ndarray:
    rng = np.random.default_rng(5)
    if dtype == "float32":
        return rng.standard_normal((n, *shape), dtype=np.float32)
    return rng.integers(0, 200, (n, *shape)).astype(dtype)


def check(given: np.ndarray, shape: tuple[int, ...], **named: Any) -> None:
    together = ops.resample(given, shape, **named)
    named["threads"] = 1
    alone = np.stack([ops.resample(volume, shape, **named) for volume in given])
    assert (together.shape, together.dtype, together.tobytes()) == (alone.shape, alone.dtype, alone.tobytes())


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic", "bspline"])
@pytest.mark.parametrize(("given", "wanted"), GRIDS)
def test_separable_grids(given: tuple[int, ...], wanted: tuple[int, ...], interpolation: str, dtype: str) -> None:
    check(volumes(given, dtype), wanted, interpolation=interpolation)
    check(volumes(given, dtype), wanted, interpolation=interpolation, dtype=dtype)


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic", "bspline"])
def test_oblique_grids(interpolation: str, threads: int) -> None:
    check(volumes((6, 20, 30), "float32"), (5, 21, 40), interpolation=interpolation, grid_map=OBLIQUE, threads=threads)


def test_antialias_window_and_a_batch_of_one(threads: int) -> None:
    check(volumes((9, 60, 80), "uint8"), (3, 20, 25), antialias=True, window=(0, 255), threads=threads)
    check(volumes((9, 60, 80), "uint8", 1), (9, 20, 80), threads=threads)


def test_outputs_that_read_more_than_a_tile_holds() -> None:
    check(volumes((1, 900, 1100), "float32", 2), (1, 2, 2), antialias=True)


@pytest.mark.not_emulated  # 70,000 blocks took the emulation six minutes
def test_a_batch_of_more_blocks_than_a_launch_may_have() -> None:
    check(volumes((800, 1, 2), "uint8", 700), (800, 1, 3))


def test_into_an_output() -> None:
    given, out = volumes((3, 9, 11), "float32"), np.full((3, 2, 5, 6), np.nan, np.float32)
    ops.resample(given, (2, 5, 6), out=out)
    np.testing.assert_array_equal(out, np.stack([ops.resample(v, (2, 5, 6)) for v in given]))


def test_refusals() -> None:
    given = volumes((3, 9, 11), "float32")
    with pytest.raises(ValueError, match="out"):
        ops.resample(given, (2, 5, 6), out=np.zeros((2, 2, 5, 6), np.float32))
    with pytest.raises(ValueError, match="out"):
        ops.resample(given, (2, 5, 6), out=np.zeros((2, 5, 6), np.float32))
    with pytest.raises(ValueError, match="3 or 4 axes"):
        ops.resample(given[None], (2, 5, 6))
    with pytest.raises(ValueError, match="not empty"):
        ops.resample(given[:0], (2, 5, 6))
