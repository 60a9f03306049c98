"""layer_reduce against the oracle; same bytes for any number of threads; edges and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle_layers as oracle
import tolerances
from layer_fast import ops
from layered_maps import layered, signed_map
from process_limits import raw

SUMS = ("sum", "sum_sq", "sum_abs", "sum_pos")
EXACT = ("count", "nonfinite", "argmax", "min", "max")


def check_row(moments: ops.LayerMoments, k: int, layer: int, values: np.ndarray, labels: np.ndarray) -> None:
    want = oracle.layer_row(values, labels, layer)
    for name in EXACT:
        np.testing.assert_equal(getattr(moments, name)[k, layer], want[name], err_msg=name)
    for name in SUMS:
        bound = tolerances.SUM_RELATIVE * (want["sum_sq"] if name == "sum_sq" else want["sum_abs"])
        assert abs(getattr(moments, name)[k, layer] - want[name]) <= bound, name
    assert moments.weight[k, layer] == want["count"]


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 40, 70), (5, 64, 64), (2, 130, 150)])
def test_plain_case_against_the_oracle(shape: tuple[int, int, int], threads: int) -> None:
    labels = layered(shape, 6)
    maps = np.stack([signed_map(shape, 1), np.abs(signed_map(shape, 2)), np.zeros(shape, np.float32)])
    moments = ops.layer_reduce(maps, labels, threads=threads)
    for k, values in enumerate(maps):
        for layer in range(7):
            check_row(moments, k, layer, values, labels)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 90)),
    num_layers=st.sampled_from([0, 1, 6, 255]),
    seed=st.integers(0, 1000),
    holes=st.booleans(),
)
def test_random_labels_and_holes(shape: tuple[int, int, int], num_layers: int, seed: int, holes: bool) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_layers + 1, shape, dtype=np.uint8)
    values = signed_map(shape, seed)
    if holes:
        values[rng.random(shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf])
    one = ops.layer_reduce(values, labels, num_layers=num_layers, threads=1)
    assert raw(one) == raw(ops.layer_reduce(values, labels, num_layers=num_layers, threads=3))
    for layer in {0, num_layers, int(labels.flat[0])}:
        check_row(one, 0, layer, values, labels)


@pytest.mark.cpu_only
def test_same_bytes_for_any_number_of_threads() -> None:
    labels, maps = layered((9, 120, 111), 6), np.stack([signed_map((9, 120, 111), s) for s in range(3)])
    maps[0, 3, 50:60] = np.nan
    options = {"quantiles": (0.0, 0.33, 1.0), "top_fraction": 0.05, "histogram": (-2.0, 3.0, 17)}
    results = [raw(ops.layer_reduce(maps, labels, threads=n, **options)) for n in (1, 2, 3, 7)]
    assert len(set(results)) == 1


def test_a_coarse_map_is_read_by_half_pixel_interpolation(threads: int) -> None:
    labels, coarse = layered((6, 20, 31), 6), signed_map((3, 5, 8), 4)
    full = oracle.interpolate(coarse, labels.shape)
    moments = ops.layer_reduce(coarse, labels, threads=threads)
    bound = tolerances.INTERPOLATION_RELATIVE * np.abs(coarse).max()
    for layer in range(7):
        want = oracle.layer_row(full, labels, layer)
        assert moments.count[0, layer] == want["count"]
        assert abs(moments.sum[0, layer] - want["sum"]) <= bound * max(want["count"], 1)
        for name in ("min", "max"):
            np.testing.assert_allclose(getattr(moments, name)[0, layer], want[name], rtol=0, atol=bound)


@pytest.mark.parametrize("oblique", [False, True])
def test_a_grid_map_places_the_map(oblique: bool) -> None:
    labels, coarse = layered((4, 9, 12), 6), signed_map((3, 4, 5), 5)
    matrix = np.array([[0.6, 0, 0, -0.4], [0, 0.4, 0, 0.1], [0, 0, -0.45, 4.2], [0, 0, 0, 1]])
    if oblique:
        matrix[:3, :3] += 0.05
    full = oracle.interpolate(coarse, labels.shape, matrix)
    moments = ops.layer_reduce(coarse, labels, grid_map=matrix)
    bound = tolerances.INTERPOLATION_RELATIVE * np.abs(coarse).max()
    for layer in range(7):
        want = oracle.layer_row(full, labels, layer)
        assert abs(moments.sum[0, layer] - want["sum"]) <= bound * max(want["count"], 1)


def test_an_identity_grid_map_reads_the_map_itself_and_holes_do_not_spread() -> None:
    labels, values = layered((3, 20, 20), 6), signed_map((3, 20, 20), 6)
    values[1, 5, 5] = np.nan
    plain = ops.layer_reduce(values, labels)
    assert raw(plain) == raw(ops.layer_reduce(values, labels, grid_map=np.eye(4)))
    shifted = np.eye(4)
    shifted[2, 3] = 1.0  # whole voxels: weights are 0 or 1, so one hole stays one hole
    assert ops.layer_reduce(values, labels, grid_map=shifted).nonfinite.sum() == 1


@pytest.mark.parametrize("kind", ["all", "nonzero", "mask"])
def test_labels_of_every_kind_of_group(kind: str) -> None:
    """One label, borders of two, three labels, holes: each group of 16 voxels takes its own way through the sums."""
    labels = np.zeros((1, 40, 64), np.uint8)
    labels[0, 10:, 21:] = 1  # borders of two
    labels[0, 20:, 24:26] = 2  # three labels in a group
    labels[0, 30:] = np.random.default_rng(13).integers(0, 4, (10, 64))
    values = signed_map((1, 40, 64), 14)
    values = np.abs(values) if kind == "nonzero" else values
    if kind == "mask":
        values[0, ::7, 3] = np.nan
        values[0, 5, 30], values[0, 15, 22], values[0, 35, 1] = np.inf, -np.inf, np.nan
    moments = ops.layer_reduce(values, labels, num_layers=4)
    for layer in range(5):
        check_row(moments, 0, layer, values, labels)


@pytest.mark.not_emulated
@pytest.mark.parametrize("shape", [(1, 5, 300), (300, 1, 5), (5, 300, 1), (1, 1, 1), (1, 1, 70001)])
def test_axes_of_one(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(15)
    labels, values = rng.integers(0, 3, shape, dtype=np.uint8), signed_map(shape, 15)
    moments = ops.layer_reduce(values, labels, num_layers=255, quantiles=(0.5,))
    coarse = ops.layer_reduce(np.ones((1, 1, 1), np.float32), labels, num_layers=255)
    weights = ops.layer_weights(labels, (1, 1, 1), num_layers=255)
    assert moments.quantiles is not None
    for layer in range(3):
        check_row(moments, 0, layer, values, labels)
        n = np.count_nonzero(labels == layer)
        assert (coarse.sum[0, layer], weights[layer, 0, 0, 0]) == (n, n)
        if n:
            assert moments.quantiles[0, layer, 0] == np.median(values[labels == layer].astype(np.float64))
    assert moments.count[0, 3:].sum() == 0 and np.isnan(moments.quantiles[0, 3:]).all()


def test_soft_weights_against_the_oracle(threads: int) -> None:
    rng = np.random.default_rng(9)
    weights = rng.random((3, 4, 60, 80)).astype(np.float32)
    weights[weights < 0.3] = 0.0
    values = signed_map((4, 60, 80), 9)
    values[0, 0, 0] = np.nan
    moments = ops.layer_reduce(values, None, num_layers=2, weights=weights, threads=threads)
    for layer in range(3):
        want = oracle.weighted_row(values, weights[layer])
        for name in ("count", "min", "max"):
            assert getattr(moments, name)[0, layer] == want[name], name
        for name in ("weight", *SUMS):
            np.testing.assert_allclose(getattr(moments, name)[0, layer], want[name], rtol=1e-9, err_msg=name)
    np.testing.assert_allclose(moments.mean(), moments.sum / moments.weight)


def test_hard_weights_give_the_sums_of_hard_labels() -> None:
    labels, values = layered((3, 30, 40), 6), signed_map((3, 30, 40), 10)
    weights = (labels[None] == np.arange(7)[:, None, None, None]).astype(np.float32)
    hard, soft = ops.layer_reduce(values, labels), ops.layer_reduce(values, None, weights=weights)
    for name in ("count", "weight", "min", "max", "argmax"):
        np.testing.assert_array_equal(getattr(hard, name), getattr(soft, name), err_msg=name)
    for name in SUMS:  # added in another order
        bound = tolerances.SUM_RELATIVE * (hard.sum_sq if name == "sum_sq" else hard.sum_abs)
        assert (abs(getattr(hard, name) - getattr(soft, name)) <= bound).all(), name


def test_empty_layers_single_voxels_and_all_zero_maps() -> None:
    labels = np.zeros((1, 2, 5), np.uint8)
    labels[0, 1, 2] = 4
    values = np.zeros((1, 2, 5), np.float32)
    values[0, 1, 2] = 0.1
    moments = ops.layer_reduce(values, labels)
    mean, std = moments.mean()[0], moments.std()[0]
    assert (mean[0], std[0], moments.argmax[0, 0]) == (0.0, 0.0, 0)
    assert (mean[4], std[4], moments.argmax[0, 4]) == (np.float32(0.1), 0.0, 7)
    assert np.isnan(moments.std(ddof=1)[0, 4])
    for layer in (1, 2, 3, 5, 6):
        assert (moments.count[0, layer], moments.sum[0, layer], moments.argmax[0, layer]) == (0, 0.0, -1)
        assert np.isnan([mean[layer], std[layer], moments.min[0, layer], moments.max[0, layer]]).all()


def test_std_matches_numpy() -> None:
    labels, values = layered((3, 50, 60), 6), signed_map((3, 50, 60), 11)
    moments = ops.layer_reduce(values, labels)
    for layer in range(7):
        x = values[labels == layer].astype(np.float64)
        np.testing.assert_allclose(moments.std()[0, layer], x.std(), rtol=1e-10)
        np.testing.assert_allclose(moments.std(ddof=1)[0, layer], x.std(ddof=1), rtol=1e-10)


HOSTS = [pytest.param(change, marks=pytest.mark.cpu_only) for change in ("big_endian", "float64")]


@pytest.mark.parametrize("change", ["strided", *HOSTS, "float16", "read_only", "fortran"])
def test_arrays_of_every_kind_are_read(change: str) -> None:
    labels, values = layered((4, 20, 30), 6), signed_map((4, 20, 30), 12).astype(np.float16).astype(np.float32)
    given_values = {
        "strided": np.repeat(values, 2, axis=2)[:, :, ::2],
        "big_endian": values.astype(">f4"),
        "float64": values.astype(np.float64),
        "float16": values.astype(np.float16),
        "fortran": np.asfortranarray(values),
    }.get(change, values.copy())
    if change == "read_only":
        given_values.flags.writeable = labels.flags.writeable = False
    assert raw(ops.layer_reduce(given_values, labels)) == raw(ops.layer_reduce(values, labels))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"labels": np.full((2, 3, 4), 9, np.uint8)}, r"labels from 0 to num_layers = 6, got label 9"),
        ({"labels": np.zeros((2, 3), np.uint8)}, r"labels with 3 or 4 axes, got shape \(2, 3\)"),
        ({"labels": np.zeros((2, 3, 3), np.uint8)}, r"maps no finer than the labels"),
        ({"labels": None}, "either labels or weights, got neither"),
        ({"weights": np.ones((7, 2, 3, 4), np.float32)}, "got both"),
        ({"labels": None, "weights": np.ones((6, 2, 3, 4), np.float32)}, "weights of 7 layers"),
        ({"labels": None, "weights": np.full((7, 2, 3, 4), -1, np.float32)}, "finite weights of 0 or more"),
        ({"labels": None, "weights": np.ones((7, 2, 3, 4), np.float32), "quantiles": (0.5,)}, "no quantiles"),
        ({"quantiles": (1.2,)}, r"quantiles in \[0, 1\]"),
        ({"quantiles": (math.nan,)}, r"quantiles in \[0, 1\]"),
        ({"top_fraction": 0.0}, "top_fraction in"),
        ({"histogram": (1.0, 1.0, 5)}, "low < high"),
        ({"histogram": (0.0, 1.0, 0)}, "1 bin or more"),
        ({"histogram": (0.0, 1e-310, 10)}, "a finite number of bins per unit, got 0, 1e-310, 10"),
        ({"histogram": (0.0, math.nan, 10)}, "low < high"),
        ({"num_layers": 256}, "num_layers from 0 to 255"),
        ({"grid_map": np.full((4, 4), np.nan)}, "grid_map as a finite 4 x 4"),
        ({"threads": 0}, "threads of 1 or more"),
        pytest.param({"maps": np.full((2, 3, 4), 1e300)}, "maps in the range of float32, got 24 larger",
                     marks=pytest.mark.cpu_only),
        ({"maps": np.zeros((0, 2, 3, 4), np.float32)}, "maps with voxels"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(arguments: dict, text: str) -> None:
    call = {"maps": np.ones((2, 3, 4), np.float32), "labels": np.zeros((2, 3, 4), np.uint8)} | arguments
    with pytest.raises(ValueError, match=text):
        ops.layer_reduce(call.pop("maps"), call.pop("labels"), **call)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.complex64])
def test_maps_of_another_dtype_are_a_type_error(dtype: type) -> None:
    with pytest.raises(TypeError, match="maps of dtype float32"):
        ops.layer_reduce(np.ones((2, 3, 4), dtype), np.zeros((2, 3, 4), np.uint8))
