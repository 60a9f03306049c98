"""Percentiles of volumes large enough for a sample to guess where they lie: exact whatever it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import oracle_layers as oracle
from layer_fast import ops
from layered_maps import at_sample

pytestmark = pytest.mark.not_emulated

SHAPE = (15, 160, 170)
FLOAT_SAMPLE, BYTE_SAMPLE = 1 << 15, 1 << 14  # kSample in cpp/ops/float_ranks.cpp and byte_ranks.cpp
KINDS = ("normal", "zeros", "bytes", "wide", "steps", "holes", "constant", "few", "sorted")


def floats(kind: str, shape: tuple[int, ...] = SHAPE) -> NDArray[np.float32]:
    rng = np.random.default_rng(21)
    values = (rng.standard_normal(shape) * 40 + 100).astype(np.float32)
    if kind == "zeros":
        values = np.maximum(values - 100, 0)
        values[::2] *= -1  # zeros of both signs
    elif kind == "bytes":
        values = np.clip(np.round(values), 0, 255)
    elif kind == "wide":
        values = (values * 10.0 ** rng.integers(-25, 25, shape)).astype(np.float32)
    elif kind == "steps":
        values = np.round(values / 80)
    elif kind == "holes":
        values[rng.random(shape) < 0.2] = rng.choice([np.nan, np.inf, -np.inf])
        values[0, :5], values[1, :2], values[-1, -1, -3:] = -np.inf, np.inf, np.nan
    elif kind == "constant":
        values[:] = -3.5
    elif kind == "few":
        values[rng.random(shape) < 0.9995] = 0
    elif kind == "sorted":
        values = np.sort(values, axis=None).reshape(shape)
    return values


def check(volume: NDArray[Any], within: Any, asked: tuple[float, ...]) -> None:
    """intensity_stats against NumPy, normalize against intensity_stats, for any number of threads."""
    used = oracle.used_voxels(volume, within)
    want = np.percentile(used, asked)
    for threads in (1, 2, 3):
        got = ops.intensity_stats(volume, percentiles=asked, within=within, threads=threads)
        assert (got.count, got.min, got.max) == (used.size, used.min(), used.max())
        np.testing.assert_array_equal(got.percentiles, want)
        low, high = got.percentiles[0], got.percentiles[-1]
        ends = (asked[0], asked[-1])
        if low == high:
            with pytest.raises(ValueError, match="lo < hi"):
                ops.normalize(volume, method="percentile", percentiles=ends, within=within, threads=threads)
            continue
        out = ops.normalize(volume, method="percentile", percentiles=ends, within=within, threads=threads)
        line = ops.normalize(volume, method="window", window=(low, high), threads=threads)
        np.testing.assert_array_equal(out, line)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("within", ["all", "nonzero", "mask"])
@pytest.mark.parametrize("asked", [(0.5, 99.5), (0.0, 100.0), (1.0, 1.01, 50.0, 99.0)])
def test_floats(kind: str, within: str, asked: tuple[float, ...]) -> None:
    volume = floats(kind)
    mask = np.random.default_rng(22).random(SHAPE) < 0.4
    check(volume, mask if within == "mask" else within, asked)


@pytest.mark.parametrize("kind", [*KINDS, "uniform"])
@pytest.mark.parametrize("within", ["all", "nonzero", "mask"])
@pytest.mark.parametrize("asked", [(0.5, 99.5), (0.0, 100.0), (1.0, 1.01, 50.0, 99.0)])
def test_bytes(kind: str, within: str, asked: tuple[float, ...]) -> None:
    rng = np.random.default_rng(23)
    volume = np.nan_to_num(floats(kind), nan=0, posinf=255, neginf=0).clip(0, 255).astype(np.uint8)
    if kind == "uniform":
        volume = rng.integers(0, 256, SHAPE, dtype=np.uint8)
    elif kind == "constant":
        volume[:] = 255
    check(volume, rng.random(SHAPE) < 0.4 if within == "mask" else within, asked)


@pytest.mark.parametrize("value", [-1e30, 100.0, 1e30, np.nan, 0.0])
@pytest.mark.parametrize("within", ["all", "nonzero"])
def test_a_sample_of_floats_that_misleads(value: float, within: str) -> None:
    check(at_sample(floats("normal"), FLOAT_SAMPLE, value), within, (0.5, 50.0, 99.5))


@pytest.mark.parametrize("value", [0, 7, 255])
@pytest.mark.parametrize("within", ["all", "nonzero"])
def test_a_sample_of_bytes_that_misleads(value: int, within: str) -> None:
    volume = np.random.default_rng(24).integers(0, 256, SHAPE, dtype=np.uint8)
    check(at_sample(volume, BYTE_SAMPLE, value), within, (0.5, 50.0, 99.5))


def test_more_values_around_a_rank_than_are_kept() -> None:
    """The sample sees none of the ties that fill the interval."""
    volume = floats("sorted")
    volume.reshape(-1)[: volume.size // 2] = np.random.default_rng(25).integers(0, 400, volume.size // 2) * 1e-3
    check(volume, "all", (0.5, 99.5))
    check(at_sample(np.full_like(volume, 5.0), FLOAT_SAMPLE, 4.0), "all", (0.5, 99.5))


@pytest.mark.parametrize("within", ["all", "nonzero", "mask"])
def test_nothing_finite_in_a_large_volume(within: str) -> None:
    volume = np.full(SHAPE, np.nan, np.float32)
    choice = np.zeros(SHAPE, bool) if within == "mask" else within
    got = ops.intensity_stats(volume, percentiles=(50,), within=choice)
    assert (got.count, got.nonfinite) == (0, 0 if within == "mask" else volume.size)
    with pytest.raises(ValueError, match="voxels to take statistics of, got none"):
        ops.normalize(volume, method="percentile", within=choice)
    with pytest.raises(ValueError, match="voxels to take statistics of, got none"):
        ops.normalize(np.zeros(SHAPE, np.uint8), method="percentile", within="nonzero")


@pytest.mark.parametrize("clip", [False, True])
def test_bytes_are_changed_as_the_line_in_float64_says(clip: bool) -> None:
    """Most lines are evaluated in float32, for bytes; they give the bits of float64 rounded once."""
    rng = np.random.default_rng(26)
    volume = np.arange(256, dtype=np.uint8)
    exact = volume.astype(np.float64)
    for shift, scale in zip(rng.normal(80, 90, 400), 10.0 ** rng.uniform(-6, 6, 400), strict=True):
        got = np.empty(256, np.float32)
        if clip:
            high = shift + scale
            ops.normalize(volume, method="window", window=(shift, high), out=got)
            want = (exact - shift) * (1.0 / (high - shift))
            want = np.where(want < 0, 0.0, np.where(want > 1, 1.0, want))
        else:
            ops._native.core.normalize(volume, got, shift=shift, scale=scale, clip=False, threads=1, stream=0)
            want = (exact - shift) * (1.0 / scale)
        np.testing.assert_array_equal(got.view(np.uint32), want.astype(np.float32).view(np.uint32))
