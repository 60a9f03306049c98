"""intensity_stats against the oracle, for every dtype and choice of voxels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle_layers as oracle
import tolerances
from layer_fast import ops

PERCENTILES = (0.0, 0.5, 12.3, 50.0, 99.5, 100.0)
DTYPES = ("uint8", "int16", "uint16", "float32")


def make(dtype: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        values = (rng.standard_normal(shape) * 5 + 1000).astype(np.float32)
        values[rng.random(shape) < 0.2] = 0.0
        return values
    info = np.iinfo(dtype)
    values = rng.integers(info.min, info.max + 1, shape).astype(dtype)
    values[rng.random(shape) < 0.2] = 0
    return values


def check(volume: np.ndarray, within: Any = "all", threads: int | None = None) -> None:
    got = ops.intensity_stats(volume, percentiles=PERCENTILES, within=within, threads=threads)
    want = oracle.intensity_stats(volume, PERCENTILES, within)
    assert got.count == want["count"]
    for name in ("min", "max"):
        np.testing.assert_equal(getattr(got, name), want[name], err_msg=name)
    scale = max(abs(want["min"]), abs(want["max"])) if got.count else 1.0
    for name in ("mean", "std"):
        bound = tolerances.STATS_RELATIVE * scale
        np.testing.assert_allclose(getattr(got, name), want[name], rtol=0, atol=bound, err_msg=name)
    np.testing.assert_allclose(got.sum, want["sum"], rtol=tolerances.STATS_RELATIVE, atol=1e-12 * scale * got.count)
    np.testing.assert_array_equal(got.percentiles, want["percentiles"])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (4, 130, 140)])
def test_all_voxels(dtype: str, shape: tuple[int, ...], threads: int) -> None:
    check(make(dtype, shape), threads=threads)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("within", ["nonzero", "bool", "uint8"])
def test_chosen_voxels(dtype: str, within: str) -> None:
    volume = make(dtype, (3, 90, 100), 1)
    mask = np.random.default_rng(2).random(volume.shape) < 0.4
    check(volume, within if within == "nonzero" else mask.astype(within))


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), min_size=1, max_size=50),
    within=st.sampled_from(["all", "nonzero"]),
)
def test_any_floats(values: list[float], within: str) -> None:
    volume = np.array(values, np.float32)
    got = ops.intensity_stats(volume, percentiles=(0, 50, 100), within=within)
    used = oracle.used_voxels(volume, within)
    chosen = volume.size if within == "all" else np.count_nonzero(volume)
    assert (got.count, got.nonfinite) == (used.size, chosen - used.size)
    if used.size:
        assert (got.min, got.max) == (used.min(), used.max())
        np.testing.assert_array_equal(got.percentiles, np.percentile(used, (0, 50, 100)))


@pytest.mark.parametrize("seed", range(3))
def test_percentiles_of_wide_floats_by_counting(seed: int) -> None:
    rng = np.random.default_rng(seed)
    volume = (rng.standard_normal(70000) * 10.0 ** rng.integers(-30, 30, 70000)).astype(np.float32)
    asked = tuple(np.linspace(0, 100, 23))
    got = ops.intensity_stats(volume, percentiles=asked)
    np.testing.assert_array_equal(got.percentiles, np.percentile(volume.astype(np.float64), asked))


@pytest.mark.cpu_only
@pytest.mark.parametrize("dtype", DTYPES)
def test_same_figures_for_any_number_of_threads(dtype: str) -> None:
    volume = make(dtype, (5, 170, 190), 3)
    results = [repr(ops.intensity_stats(volume, percentiles=PERCENTILES, threads=n)) for n in (1, 2, 3)]
    assert len(set(results)) == 1


@pytest.mark.parametrize("dtype", DTYPES[:3])
def test_the_histogram_counts_every_value(dtype: str) -> None:
    volume = make(dtype, (3, 50, 60), 4)
    got = ops.intensity_stats(volume)
    assert got.histogram is not None and got.histogram.sum() == volume.size
    values, counts = np.unique(volume, return_counts=True)
    np.testing.assert_array_equal(got.histogram[values.astype(int) - got.histogram_low], counts)
    assert ops.intensity_stats(volume.astype(np.float32)).histogram is None


def test_a_large_offset_does_not_cancel() -> None:
    volume = np.full((4, 64, 65), 16_000_000, np.float32)
    volume[::2] += 1
    assert ops.intensity_stats(volume).std == pytest.approx(0.5, rel=1e-12)


def test_nothing_chosen() -> None:
    for volume in (np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 2), np.float32)):
        got = ops.intensity_stats(volume, within="nonzero", percentiles=(50,))
        assert (got.count, got.sum) == (0, 0.0)
        assert all(math.isnan(v) for v in (got.min, got.max, got.mean, got.std, got.percentiles[0]))


@pytest.mark.cpu_only  # no library of arrays on a device has foreign bytes
def test_views_foreign_bytes_and_read_only_arrays() -> None:
    volume = make("int16", (4, 20, 30), 5)
    want = repr(ops.intensity_stats(volume))
    volume.flags.writeable = False
    for same in (volume, volume.astype(">i2"), np.repeat(volume, 2, axis=1)[:, ::2], np.asfortranarray(volume)):
        assert repr(ops.intensity_stats(same)) == want


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"within": "positive"}, "within to be 'all', 'nonzero' or a mask, got 'positive'"),
        ({"within": np.ones((2, 2), bool)}, r"mask of shape \(2, 2, 2\), got \(2, 2\)"),
        ({"percentiles": (101,)}, r"percentiles in \[0, 100\]"),
        ({"percentiles": (math.nan,)}, r"percentiles in \[0, 100\]"),
    ],
)
def test_wrong_options_are_named(options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ops.intensity_stats(np.zeros((2, 2, 2), np.float32), **options)


def test_wrong_arrays_are_named() -> None:
    with pytest.raises(TypeError, match="volume of dtype uint8 or int16 or uint16 or float32, got float64"):
        ops.intensity_stats(np.zeros((2, 2, 2)))
    with pytest.raises(ValueError, match="a volume with voxels"):
        ops.intensity_stats(np.zeros((2, 0, 2), np.uint8))
