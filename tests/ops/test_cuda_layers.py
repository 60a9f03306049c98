"""CUDA twins of the layer and intensity ops give the CPU's bytes: every way through their kernels."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cuda_twins
import oracle_layers as oracle
import tolerances
from layer_fast import ops
from layered_maps import layered, signed_map
from process_limits import raw

Twins = Callable[..., None]
TWINS = ["emulated", pytest.param("cuda", marks=pytest.mark.needs_cuda)]
ORDER = {"quantiles": (0.0, 0.33, 0.5, 1.0), "top_fraction": 0.05}


@pytest.fixture(params=TWINS)
def moved(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[..., Any]]:
    """The op of a name, which takes its arrays to the device and brings the result back; "" only moves an array."""
    if request.param == "emulated":
        core = cuda_twins.emulated_core()
        if isinstance(core, str):
            pytest.skip(core)
        cuda_twins.use_emulation(monkeypatch, core)
        to_device: Callable[..., Any] = cuda_twins.EmulatedArray
    else:
        to_device = importlib.import_module("cupy").asarray
    return lambda name: cuda_twins.on_device(getattr(ops, name), to_device) if name else to_device


@pytest.fixture(params=["reversed", "shuffled"])  # forward: the tests of the ops themselves, which run on all twins
def same(
    request: pytest.FixtureRequest, moved: Callable[[str], Callable[..., Any]], monkeypatch: pytest.MonkeyPatch
) -> Twins:
    """Asserts that both twins give the same bytes, in some order of the emulation's blocks and threads."""
    monkeypatch.setenv("LAYER_FAST_EMULATED_ORDER", request.param)

    def check(name: str, *args: Any, **named: Any) -> None:
        want, got = getattr(ops, name)(*args, **named), moved(name)(*args, **named)
        if raw(got) == raw(want):
            return
        for field in getattr(want, "__slots__", ()):
            np.testing.assert_array_equal(getattr(got, field), getattr(want, field), err_msg=field)
        np.testing.assert_array_equal(got, want)  # a result that is one array; else equal numbers of other bytes
        raise AssertionError("equal numbers, other bytes")

    return check


def holes(values: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = values.copy()
    out[rng.random(values.shape) < 0.05] = rng.choice([np.nan, np.inf, -np.inf])
    return out


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 5), (3, 41, 70), (2, 130, 150), (5, 128, 128)])
@pytest.mark.parametrize("num_layers", [6, 12])
def test_maps_on_the_labels_grid(same: Twins, shape: tuple[int, int, int], num_layers: int) -> None:
    """One tile and more, an odd number of them, one pass over layers (in two sizes)."""
    maps = np.stack([signed_map(shape, 1), np.abs(signed_map(shape, 2)), np.zeros(shape, np.float32)])
    same("layer_reduce", maps, layered(shape, num_layers), num_layers=num_layers)
    same("layer_reduce", holes(maps, 3), layered(shape, num_layers), num_layers=num_layers)


@pytest.mark.parametrize("num_layers", [0, 1, 16, 255])
def test_labels_of_no_order_and_layers_in_several_passes(same: Twins, num_layers: int) -> None:
    shape = (3, 90, 100) if num_layers < 20 else (2, 50, 70)
    labels = np.random.default_rng(4).integers(0, num_layers + 1, shape, dtype=np.uint8)
    same("layer_reduce", holes(signed_map(labels.shape, 5), 6), labels, num_layers=num_layers)


@pytest.mark.parametrize("first", [0, 1, 2, 4])
def test_signed_zeros_ties_and_arrays_at_odd_addresses(moved: Callable[[str], Callable[..., Any]], first: int) -> None:
    """Views that begin inside of an array: labels at addresses that are no multiple of 16, maps of 4 only."""
    values = np.random.default_rng(7).choice(np.array([-0.0, 0.0, 1.0, -2.5], np.float32), (40, 33, 29))
    labels, move = layered((40, 33, 29), 6), moved("")
    there, where = move(values)[first:], move(labels)[first:]
    named = {"histogram": (-1.0, 1.0, 5), "quantiles": (0.5,)}
    want = ops.layer_reduce(values[first:], labels[first:], **named)
    assert raw(moved("layer_reduce")(there, where, **named)) == raw(want)
    volume = (np.abs(values) * 100).astype(np.uint8)
    for array in (values, volume):
        named = {"within": "nonzero", "percentiles": (50.0,)}
        stats = moved("intensity_stats")(move(array)[first:], **named)
        assert repr(stats) == repr(ops.intensity_stats(array[first:], **named))
        assert raw(moved("normalize")(move(array)[first:])) == raw(ops.normalize(array[first:]))
    sets, fill = np.eye(7, dtype=bool), np.ones((1, 7), np.float32)
    composed = moved("layer_compose")(values[None, first:], where, sets, fill_values=fill)
    assert raw(composed) == raw(ops.layer_compose(values[None, first:], labels[first:], sets, fill_values=fill))


@pytest.mark.parametrize(
    ("grid", "coarse"),
    [
        ((6, 20, 31), (3, 5, 8)),  # narrow: voxel by voxel
        ((3, 60, 85), (2, 7, 9)),  # the narrowest that rows serve
        ((2, 90, 128), (2, 10, 16)),
        ((3, 60, 300), (2, 10, 128)),  # the widest map
        ((3, 60, 300), (2, 10, 129)),
        ((1, 1, 70001), (1, 1, 50)),
        ((2, 70, 86), (2, 70, 86)),
    ],
)
def test_coarse_maps(same: Twins, grid: tuple[int, int, int], coarse: tuple[int, int, int]) -> None:
    maps = np.stack([signed_map(coarse, 8), signed_map(coarse, 9)])
    maps[1, 0, 0, -1] = np.nan
    same("layer_reduce", maps, layered(grid, 6), **ORDER, histogram=(-2.0, 3.0, 17))


def test_more_tiles_than_a_strip_has(same: Twins) -> None:
    shape = (65, 128, 130)  # 66 tiles
    labels, values = layered(shape, 2), signed_map(shape, 21)
    same("layer_reduce", values, labels, num_layers=2)
    found = [ops.layer_reduce(values, labels, num_layers=2, threads=n) for n in (1, 3)]
    assert raw(found[0]) == raw(found[1])
    for layer in range(3):
        chosen = values[labels == layer].astype(np.float64)
        bound = tolerances.SUM_RELATIVE * np.abs(chosen).sum()
        assert found[0].count[0, layer] == chosen.size
        assert abs(found[0].sum[0, layer] - chosen.sum()) <= bound
        assert found[0].argmax[0, layer] == np.where(labels.ravel() == layer, values.ravel(), -np.inf).argmax()


@pytest.mark.parametrize("oblique", [0.0, 0.05])
@pytest.mark.parametrize("kind", ["flipped", "shifted"])
def test_grid_maps(same: Twins, oblique: float, kind: str) -> None:
    labels, coarse = layered((7, 40, 90), 6), signed_map((3, 8, 9), 10)
    scales = (0.4, 0.2, -0.1) if kind == "flipped" else (0.3, 0.3, 0.12)
    matrix = np.diag([*scales, 1.0])
    matrix[:3, 3] = (-0.4, 0.1, 8.3) if kind == "flipped" else (-3.0, 2.0, -1.0)  # partly outside
    matrix[:3, :3] += oblique
    same("layer_reduce", coarse, labels, grid_map=matrix)
    same("layer_weights", labels, coarse.shape, grid_map=matrix)


def test_the_order_of_many_values(same: Twins) -> None:
    """More values than are collected at once, layers without a voxel, ties."""
    shape = (5, 101, 291)
    labels, values = layered(shape, 4), holes(np.round(signed_map(shape, 11), 2), 12)
    same("layer_reduce", values, labels, num_layers=7, **ORDER, histogram=(-3.0, 2.0, 4096))


@pytest.mark.parametrize("coarse", [False, True])
def test_soft_weights(same: Twins, coarse: bool) -> None:
    rng = np.random.default_rng(13)
    weights = rng.random((3, 4, 60, 90)).astype(np.float32)
    weights[weights < 0.3] = 0.0
    maps = np.stack([holes(signed_map((2, 7, 11) if coarse else (4, 60, 90), s), s) for s in (14, 15)])
    same("layer_reduce", maps, None, num_layers=2, weights=weights)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 50), (3, 7, 300)])
@pytest.mark.parametrize("num_layers", [2, 40])
def test_weights_of_a_coarse_map(same: Twins, shape: tuple[int, int, int], num_layers: int) -> None:
    labels = np.random.default_rng(16).integers(0, num_layers + 1, shape, dtype=np.uint8)
    labels = np.sort(labels, axis=2)  # runs of all lengths
    own = shape if labels.size < 1000 else (2, 3, 4)
    for map_shape in ((1, 1, 1), (min(3, shape[0]), min(5, shape[1]), min(70, shape[2])), own):
        same("layer_weights", labels, map_shape, num_layers=num_layers)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "float32"])
@pytest.mark.parametrize("within", ["all", "nonzero", "mask"])
def test_intensities(same: Twins, moved: Callable[[str], Callable[..., Any]], dtype: str, within: str) -> None:
    rng = np.random.default_rng(17)
    for n in (1, 31, 140003):
        volume = (rng.standard_normal(n) * 40 + 120).clip(0, 255).astype(dtype)
        volume[: n // 2] = 0
        volume = holes(volume, 18) if dtype == "float32" else volume
        choice = rng.random(n) < 0.7 if within == "mask" else within
        named = {"percentiles": (0.0, 0.5, 50.0, 100.0), "within": choice}
        want, got = ops.intensity_stats(volume, **named), moved("intensity_stats")(volume, **named)
        assert repr(got) == repr(want)
        same("normalize", volume, method="window", window=(20.5, 187.25))
    with pytest.raises(ValueError, match="got none"):
        moved("normalize")(np.zeros(40, dtype), within="nonzero")


def test_against_the_oracle_itself(moved: Callable[[str], Callable[..., Any]]) -> None:
    labels, values = layered((3, 90, 80), 6), signed_map((3, 90, 80), 19)
    moments = moved("layer_reduce")(values, labels)
    for layer in range(7):
        want = oracle.layer_row(values, labels, layer)
        assert (moments.count[0, layer], moments.argmax[0, layer]) == (want["count"], want["argmax"])
        assert abs(moments.sum[0, layer] - want["sum"]) <= tolerances.SUM_RELATIVE * want["sum_abs"]


def test_wrong_labels_are_named_as_on_the_cpu(moved: Callable[[str], Callable[..., Any]]) -> None:
    labels, values = layered((3, 60, 110), 6), signed_map((3, 60, 110), 20)
    labels[1, 7, 3], labels[2, 59, 109] = 9, 8
    for name, args, named in (
        ("layer_reduce", (values, labels), {}),
        ("layer_reduce", (values, labels), {"quantiles": (0.5,), "histogram": (0.0, 1.0, 3)}),
        ("layer_weights", (labels, (2, 3, 4)), {}),
        ("layer_weights", (labels, (2, 3, 4)), {"grid_map": np.diag([0.5, 0.05, 0.03, 1.0]) + 0.001 * np.eye(4, k=1)}),
        ("layer_compose", (values[None], labels, np.ones((2, 7), bool)), {"fill_values": np.zeros((1, 7), np.float32)}),
    ):
        if "grid_map" in named:
            named["grid_map"][2, 3] = 0.0
        with pytest.raises(ValueError, match="got label 9"):
            moved(name)(*args, **named)
    with pytest.raises(ValueError, match="finite weights of 0 or more"):
        moved("layer_reduce")(values, None, num_layers=0, weights=np.full((1, *values.shape), np.inf, np.float32))
