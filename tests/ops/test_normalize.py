"""normalize against the oracle, for every dtype, method and choice of voxels."""

from __future__ import annotations

import numpy as np
import pytest

import oracle_layers as oracle
import tolerances
from layer_fast import ops

DTYPES = ("uint8", "int16", "uint16", "float32")
METHODS = ("zscore", "percentile", "minmax", "window")


def make(dtype: str, shape: tuple[int, ...] = (3, 40, 50), seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = (rng.standard_normal(shape) * 40 + 120).clip(0, 255).astype(dtype)
    values[rng.random(shape) < 0.2] = 0
    return values


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("within", ["all", "nonzero", "mask"])
def test_against_the_oracle(dtype: str, method: str, within: str, threads: int) -> None:
    volume = make(dtype)
    choice = volume > 60 if within == "mask" else within
    window = (20.0, 210.5) if method == "window" else None
    got = ops.normalize(volume, method=method, within=choice, window=window, threads=threads)
    want = oracle.normalize(volume, method, choice, window=window)
    assert got.dtype == np.float32
    np.testing.assert_allclose(
        got, want, rtol=tolerances.NORMALIZE_RELATIVE, atol=tolerances.NORMALIZE_ABSOLUTE
    )


def test_the_ends_of_the_range_are_exactly_0_and_1() -> None:
    for dtype in DTYPES:
        got = ops.normalize(make(dtype), method="minmax")
        assert (got.min(), got.max()) == (0.0, 1.0)


def test_percentiles_are_taken_from_the_argument() -> None:
    volume = make("float32", seed=1)
    got = ops.normalize(volume, method="percentile", percentiles=(10, 80))
    want = oracle.normalize(volume, "percentile", percentiles=(10, 80))
    np.testing.assert_allclose(got, want, rtol=tolerances.NORMALIZE_RELATIVE, atol=tolerances.NORMALIZE_ABSOLUTE)


@pytest.mark.parametrize("method", METHODS)
def test_nan_stays_nan_and_does_not_count(method: str) -> None:
    volume = make("float32", seed=2)
    clean = volume[1:].copy()
    volume[0] = np.nan
    volume[0, 0, 0] = np.inf
    window = (0.0, 255.0) if method == "window" else None
    got = ops.normalize(volume, method=method, window=window)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(volume))
    np.testing.assert_allclose(got[1:], ops.normalize(clean, method=method, window=window), rtol=1e-6, atol=1e-7)
    assert got[0, 0, 0] == (np.inf if method == "zscore" else 1.0)


@pytest.mark.cpu_only  # what is moved to a device overlaps nothing
def test_out_may_be_the_volume_itself_but_not_overlap_it() -> None:
    volume = make("float32", seed=3)
    want = ops.normalize(volume)
    out = np.empty_like(volume)
    assert ops.normalize(volume, out=out) is out
    np.testing.assert_array_equal(out, want)
    assert ops.normalize(volume, out=volume) is volume
    np.testing.assert_array_equal(volume, want)
    room = np.arange(30, dtype=np.float32)
    with pytest.raises(ValueError, match="share no memory with volume"):
        ops.normalize(room[:20], out=room[5:25])


@pytest.mark.parametrize("shape", [(1,), (1, 1, 2), (2, 1, 3, 1, 2)])
def test_any_shape_and_bytes_do_not_depend_on_threads(shape: tuple[int, ...]) -> None:
    volume = np.arange(np.prod(shape), dtype=np.int16).reshape(shape) + 1
    if volume.size > 1:
        assert ops.normalize(volume, method="minmax").shape == shape
    large = make("float32", (3, 300, 301), 4)
    assert len({ops.normalize(large, threads=n).tobytes() for n in (1, 2, 3)}) == 1


@pytest.mark.parametrize(
    ("volume", "options", "text"),
    [
        (np.full((2, 2, 2), 3, np.uint8), {}, r"voxels that differ, got std 0 \(all are 3.0\)"),
        (np.full((2, 2, 2), 3, np.uint8), {"method": "minmax"}, "minimum and maximum as .*, got 3.0 and 3.0"),
        (np.full((2, 2, 2), 3, np.uint8), {"method": "percentile"}, "percentiles .0.5, 99.5. as finite lo < hi"),
        (np.zeros((2, 2, 2), np.uint8), {"within": "nonzero"}, r"voxels to take statistics of, got none \(0 are NaN"),
        (np.full((2, 2, 2), np.nan, np.float32), {}, r"got none \(8 are NaN or Inf\)"),
        (np.zeros((2, 2, 2), np.uint8), {"method": "window"}, "window=.lo, hi. with method 'window', got None"),
        (np.zeros((2, 2, 2), np.uint8), {"method": "window", "window": (2, 1)}, "finite lo < hi, got 2.0 and 1.0"),
        (np.zeros((2, 2, 2), np.uint8), {"window": (0, 1)}, "with method 'window' only"),
        (np.zeros((2, 2, 2), np.uint8), {"percentiles": (0, 1)}, "with method 'percentile' only"),
        (np.zeros((2, 2, 2), np.uint8), {"method": "robust"}, "got 'robust'"),
        (np.zeros((2, 2, 2), np.uint8), {"dtype": "float16"}, "dtype float32, got float16"),
        (np.ones((2, 2, 2), np.uint8), {"out": np.empty((2, 2), np.float32)}, "expected out of"),
    ],
)
def test_an_undefined_line_is_refused(volume: np.ndarray, options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ops.normalize(volume, **options)


def test_ops_run_on_the_twin_that_a_test_is_named_after(request: pytest.FixtureRequest) -> None:
    """Of this file and all others in conftest's list, although no test asks for the fixture by name."""
    moved = hasattr(ops.normalize, "__wrapped__")
    assert moved == (request.node.callspec.params["twin"] != "cpu")
