"""resample against its float64 oracle, against peers that share its conventions, and at its edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import oracle_resampling as oracle
from layer_fast.ops import resample
from tolerances import BSPLINE_RELATIVE, RESAMPLE_RELATIVE

SHAPES = [(7, 11, 13), (3, 5, 4), (9, 20, 31), (1, 1, 1), (14, 3, 40)]
INTERPOLATIONS = ["nearest", "linear", "cubic", "bspline"]
OBLIQUE = np.array([[0.9, 0.2, -0.1, 0.3], [-0.15, 1.1, 0.05, -0.6], [0.1, -0.2, 0.8, 1.2], [0, 0, 0, 1.0]])


def volume_of(dtype: str, shape: tuple[int, int, int] = (7, 11, 13), seed: int = 0) -> NDArray[Any]:
    values = np.random.default_rng(seed).normal(120, 60, shape)
    return values.astype("float32") if dtype == "float32" else values.clip(0, 255).astype(dtype)


def tolerance(volume: NDArray[Any], interpolation: str) -> float:
    relative = BSPLINE_RELATIVE if interpolation == "bspline" else RESAMPLE_RELATIVE
    return relative * max(float(np.abs(volume.astype("float64")).max()), 1.0)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_the_oracle(dtype: str, interpolation: str, shape: tuple[int, int, int]) -> None:
    volume = volume_of(dtype)
    result = resample(volume, shape, interpolation=interpolation)
    expected = oracle.resample(volume, shape, interpolation=interpolation)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance(volume, interpolation))


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("shape", SHAPES)
def test_antialias_agrees_with_the_oracle(interpolation: str, shape: tuple[int, int, int]) -> None:
    volume = volume_of("uint8")
    result = resample(volume, shape, interpolation=interpolation, antialias=True)
    expected = oracle.resample(volume, shape, interpolation=interpolation, antialias=True)
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance(volume, interpolation))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize("matrix", [np.diag([2.0, 0.5, -1.0, 1.0]) + np.outer([1, 1, 1, 0], [0, 0, 0, 3.3]), OBLIQUE])
def test_grid_map_agrees_with_the_oracle(interpolation: str, matrix: NDArray[np.float64]) -> None:
    volume = volume_of("int16")
    result = resample(volume, (4, 6, 5), interpolation=interpolation, grid_map=matrix)
    expected = oracle.resample(volume, (4, 6, 5), interpolation=interpolation, grid_map=matrix)
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance(volume, interpolation))


@given(st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.integers(1, 9)] * 3), st.sampled_from(INTERPOLATIONS))
@settings(max_examples=40, deadline=None)
def test_any_shape_agrees(shape_in: Any, shape_out: Any, interpolation: str) -> None:
    volume = volume_of("float32", shape_in)
    result = resample(volume, shape_out, interpolation=interpolation)
    expected = oracle.resample(volume, shape_out, interpolation=interpolation)
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance(volume, interpolation))


@pytest.mark.parametrize(("order", "interpolation"), [(0, "nearest"), (1, "linear")])
def test_is_scipy_zoom_with_grid_mode(order: int, interpolation: str) -> None:
    from scipy import ndimage

    volume = volume_of("float32", (10, 10, 20))
    zoomed = ndimage.zoom(volume.astype("float64"), (0.6, 1.5, 0.7), order=order, grid_mode=True, mode="nearest")
    result = resample(volume, zoomed.shape, interpolation=interpolation)
    np.testing.assert_allclose(result, zoomed, rtol=0, atol=tolerance(volume, interpolation))


def test_bspline_is_scipy_order_3_inside_the_voxel_centres() -> None:
    from scipy import ndimage

    volume = volume_of("float32", (10, 11, 12))
    coefficients = ndimage.spline_filter(volume.astype("float64"), order=3, mode="mirror")
    at = np.stack(np.meshgrid(*[(np.arange(2 * n) + 0.5) / 2 - 0.5 for n in volume.shape], indexing="ij"))
    at = np.clip(at, 0, np.array(volume.shape)[:, None, None, None] - 1)
    expected = ndimage.map_coordinates(coefficients, at, order=3, mode="mirror", prefilter=False)
    result = resample(volume, (20, 22, 24), interpolation="bspline")
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerance(volume, "bspline"))


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    "options",
    [
        *({"interpolation": name} for name in INTERPOLATIONS),
        {"antialias": True},
        {"antialias": True, "interpolation": "cubic"},
        {"grid_map": OBLIQUE},
        {"window": (10, 90)},
    ],
)
def test_threads_do_not_change_a_byte(options: dict[str, Any]) -> None:
    volume = volume_of("uint8", (20, 90, 70))
    results = {resample(volume, (30, 200, 50), threads=n, **options).tobytes() for n in (1, 2, 3, 8)}
    assert len(results) == 1


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_same_grid_gives_the_volume_back(interpolation: str) -> None:
    volume = volume_of("uint16")
    result = resample(volume, volume.shape, interpolation=interpolation, dtype="uint16")
    np.testing.assert_array_equal(result, volume)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_constant_stays_constant(interpolation: str) -> None:
    volume = np.full((5, 6, 7), 200, "uint8")
    np.testing.assert_array_equal(resample(volume, (9, 4, 11), interpolation=interpolation, dtype="uint8"), 200)


def test_own_dtype_is_rounded_half_to_even_and_saturated() -> None:
    line = np.array([0, 1, 2, 3, 255, 255, 0, 0], "uint8").reshape(1, 1, 8)
    halves = resample(line, (1, 1, 4), dtype="uint8")  # means 0.5, 2.5, 255, 0
    np.testing.assert_array_equal(halves.ravel(), [0, 2, 255, 0])
    over = resample(line, (1, 1, 32), interpolation="cubic", dtype="uint8")
    exact = oracle.resample(line, (1, 1, 32), interpolation="cubic")
    assert exact.max() > 256
    assert exact.min() < -1
    np.testing.assert_array_equal(over, np.clip(np.rint(exact), 0, 255))
    signed = np.array([-32768, 32767], "int16").reshape(1, 1, 2)
    np.testing.assert_array_equal(resample(signed, (1, 1, 1), dtype="int16"), 0)  # -0.5 goes to even


def test_window_is_clipped_and_keeps_nan() -> None:
    volume = volume_of("float32")
    volume[2, 3, 4] = np.nan
    result = resample(volume, (5, 6, 7), window=(50.0, 200.0))
    expected = oracle.resample(np.nan_to_num(volume), (5, 6, 7), window=(50.0, 200.0))
    known = ~np.isnan(resample(volume, (5, 6, 7)))
    np.testing.assert_array_equal(np.isnan(result), ~known)
    np.testing.assert_allclose(result[known], expected[known], rtol=0, atol=2 * RESAMPLE_RELATIVE)
    assert np.nanmin(result) == 0
    assert np.nanmax(result) == 1


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize(("grid_map", "hole"), [(None, (3, 5, 6)), (OBLIQUE, (4, 6, 2))])
def test_nan_reaches_exactly_the_outputs_that_weigh_it(interpolation: str, grid_map: Any, hole: Any) -> None:
    volume = volume_of("float32")
    volume[hole] = np.nan
    one = np.zeros(volume.shape, "float32")
    one[hole] = 1
    shape = (7, 22, 5)
    result = resample(volume, shape, interpolation=interpolation, grid_map=grid_map)
    weight = resample(one, shape, interpolation=interpolation, grid_map=grid_map)
    np.testing.assert_array_equal(np.isnan(result), weight != 0)
    assert np.isnan(result).any()


def test_linear_keeps_the_range_and_the_mean_of_exact_halving() -> None:
    volume = volume_of("float32", (8, 8, 8))
    half = resample(volume, (4, 4, 4))
    blocks = volume.astype("float64").reshape(4, 2, 4, 2, 4, 2).mean((1, 3, 5))
    np.testing.assert_allclose(half, blocks, rtol=0, atol=tolerance(volume, "linear"))
    assert half.min() >= volume.min()
    assert half.max() <= volume.max()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"interpolation": "lanczos"}, "nearest, linear, cubic or bspline, got 'lanczos'"),
        ({"shape": (4, 4)}, r"three positive numbers \(z, y, x\), got \(4, 4\)"),
        ({"shape": (4, 0, 4)}, "three positive numbers"),
        ({"antialias": True, "interpolation": "nearest"}, "interpolation linear or cubic with antialias"),
        ({"antialias": True, "grid_map": OBLIQUE}, "axis-aligned grid_map with antialias"),
        ({"grid_map": np.eye(3)}, "4 x 4"),
        ({"grid_map": np.full((4, 4), np.nan)}, "finite 4 x 4"),
        ({"grid_map": np.eye(4) * 2}, "last row 0 0 0 1"),
        ({"grid_map": np.diag([1e12, 1, 1, 1])}, "below 1e9"),
        ({"window": (3.0, 3.0)}, "lo < hi"),
        ({"window": (0.0, float("nan"))}, "finite"),
        ({"window": (0.0, 1.0), "dtype": "uint8"}, "float32 output with a window, got uint8"),
        ({"dtype": "int16"}, "float32 or the volume's uint8, got int16"),
        ({"threads": 0}, "threads of 1 or more, got 0"),
        ({"out": np.zeros((4, 4, 4), "float64")}, "expected out of"),
    ],
)
def test_wrong_arguments_are_refused_by_name(options: dict[str, Any], text: str) -> None:
    arguments: dict[str, Any] = {"shape": (4, 4, 4), **options}
    with pytest.raises(ValueError, match=text) as caught:
        resample(volume_of("uint8"), **arguments)
    assert str(caught.value).startswith("[resample] expected")


@pytest.mark.cpu_only  # what is moved to a device loses its strides; see test_cuda_twins.py
def test_an_out_with_strides_is_refused() -> None:
    with pytest.raises(ValueError, match="C-contiguous"):
        resample(volume_of("uint8"), (4, 4, 4), out=np.zeros((4, 4, 8), "float32")[..., ::2])


def test_wrong_arrays_are_refused() -> None:
    with pytest.raises(TypeError, match="uint8 or int16 or uint16 or float32, got float64"):
        resample(np.zeros((2, 2, 2)), (1, 1, 1))
    with pytest.raises(TypeError, match="NumPy or DLPack array, got list"):
        resample([[[1]]], (1, 1, 1))
    with pytest.raises(ValueError, match="3 or 4 axes, got shape"):
        resample(np.zeros((2, 2), "uint8"), (1, 1, 1))
    with pytest.raises(ValueError, match="not empty"):
        resample(np.zeros((0, 2, 2), "uint8"), (1, 1, 1))
