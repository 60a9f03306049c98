"""CUDA twins give the CPU's bytes: random cases in the emulation, in several orders of threads; arrays and devices."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import cuda_twins
from cuda_twins import EmulatedArray, on_device
from layer_fast import ops
from layer_fast.errors import DeviceError

ORDERS = ("forward", "reversed", "shuffled")


@pytest.fixture
def emulation(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Switches the ops to the emulated twins; what is called before runs on the CPU twins."""
    core = cuda_twins.emulated_core()
    if isinstance(core, str):
        pytest.skip(core)
    return lambda: cuda_twins.use_emulation(monkeypatch, core)


def random_map(rng: np.random.Generator, oblique: bool) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, :3] *= rng.uniform(-2, 2, 3)
    if oblique:
        matrix[:3, :3] += rng.normal(size=(3, 3)) * 0.2
    matrix[:3, 3] = rng.uniform(-3, 10, 3)
    return matrix


def random_case(rng: np.random.Generator) -> tuple[NDArray[Any], tuple[int, ...], dict[str, Any]]:
    shape, made = (tuple(int(n) for n in rng.integers(1, most, 3)) for most in (40, 50))
    dtype = str(rng.choice(["uint8", "int16", "uint16", "float32"]))
    volume = (rng.normal(size=shape) * 50 + 100).astype(dtype)
    options: dict[str, Any] = {"interpolation": str(rng.choice(["nearest", "linear", "cubic", "bspline"]))}
    if options["interpolation"] in ("linear", "cubic") and rng.random() < 0.3:
        options["antialias"] = True
    if rng.random() < 0.4:
        options["grid_map"] = random_map(rng, oblique="antialias" not in options and rng.random() < 0.6)
    if rng.random() < 0.4:
        options["window"] = (20, 140)
    elif rng.random() < 0.5:
        options["dtype"] = dtype
    if dtype == "float32" and rng.random() < 0.3:
        volume.flat[rng.integers(volume.size)] = np.nan
    return volume, made, options


def same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Bit for bit, but for the payload of a NaN."""
    if a.dtype.kind != "f":
        return a.tobytes() == b.tobytes()
    here = ~np.isnan(a)
    return np.array_equal(here, ~np.isnan(b)) and a[here].tobytes() == b[here].tobytes()


@pytest.mark.parametrize("order", ORDERS)
def test_resample_gives_the_cpus_bytes(
    order: str, emulation: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYER_FAST_EMULATED_ORDER", order)
    rng = np.random.default_rng(ORDERS.index(order))
    drawn = [random_case(rng) for _ in range(30)]
    expected = [ops.resample(volume, shape, **options) for volume, shape, options in drawn]
    emulation()
    for (volume, shape, options), wanted in zip(drawn, expected, strict=True):
        got = on_device(ops.resample, EmulatedArray)(volume, shape, **options)
        assert same(wanted, got), f"{volume.dtype} {volume.shape} -> {shape}: {options}"


@pytest.mark.parametrize("order", ORDERS)
def test_labels_are_the_cpus(order: str, emulation: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAYER_FAST_EMULATED_ORDER", order)
    rng = np.random.default_rng(10 + ORDERS.index(order))
    calls: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []
    for oblique in (False, False, True, True):
        logits = rng.normal(size=(int(rng.integers(1, 8)), 9, 13, 21)).astype(np.float32)
        grid_map = random_map(rng, oblique) if oblique else None
        calls += [(ops.argmax_resample, (logits, (19, 23, 45)), {"grid_map": grid_map})]
        calls += [(ops.argmax_resample, (np.repeat(logits, 2, axis=0), (5, 6, 7)), {"grid_map": grid_map})]
        labels = rng.integers(0, 6, (14, 17, 37)).astype(np.uint8)
        shape = tuple(int(n) for n in rng.integers(1, 30, 3))
        calls += [(ops.resample_labels, (labels, shape), {"mode": "fraction", "num_labels": 7})]
        calls += [(ops.resample_labels, (labels, shape), {"grid_map": grid_map})]
    expected = [op(*args, **options) for op, args, options in calls]
    emulation()
    for (op, args, options), wanted in zip(calls, expected, strict=True):
        assert same(wanted, on_device(op, EmulatedArray)(*args, **options)), (op, args[1:], options)


def test_shapes_beyond_shared_memory_and_thin_ones(emulation: Callable[[], None]) -> None:
    rng = np.random.default_rng(20)
    volumes = [
        rng.normal(size=shape).astype(np.float32) for shape in ((2, 300, 900), (1, 1, 70), (70, 1, 1), (3, 2, 41))
    ]
    wanted = [((1, 1, 2), {"antialias": True}), ((2, 2, 2), {"interpolation": "bspline"}), ((3, 90, 1), {})]
    expected = [[ops.resample(volume, shape, **options) for shape, options in wanted] for volume in volumes]
    emulation()
    for volume, row in zip(volumes, expected, strict=True):
        for (shape, options), result in zip(wanted, row, strict=True):
            assert same(result, on_device(ops.resample, EmulatedArray)(volume, shape, **options)), (volume.shape, shape)


def test_results_are_of_the_callers_library(emulation: Callable[[], None]) -> None:
    emulation()
    volume = EmulatedArray(np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    assert isinstance(ops.resample(volume, (3, 5, 7)), EmulatedArray)
    out = EmulatedArray(np.zeros((3, 5, 7), np.float32))
    assert ops.resample(volume, (3, 5, 7), out=out) is out
    with pytest.raises(ValueError, match="share no memory with volume"):
        ops.resample(volume, (2, 3, 4), out=volume)
    moments = on_device(ops.resample_labels, EmulatedArray)(np.zeros((2, 3, 4), np.uint8), (1, 1, 2), mode="fraction")
    np.testing.assert_array_equal(moments, np.ones((1, 1, 1, 2), np.float32))


def test_arrays_on_two_devices_are_refused(emulation: Callable[[], None]) -> None:
    emulation()
    volume = EmulatedArray(np.zeros((2, 3, 4), np.float32))
    with pytest.raises(DeviceError, match=r"\[resample\] expected volume and out on one device, got cuda:0, the CPU"):
        ops.resample(volume, (3, 5, 7), out=np.zeros((3, 5, 7), np.float32))
    other = EmulatedArray(np.zeros((3, 5, 7), np.float32))
    other.device = SimpleNamespace(id=1)
    with pytest.raises(DeviceError, match="one device, got cuda:0, cuda:1"):
        ops.resample(volume, (3, 5, 7), out=other)


class Described(EmulatedArray):
    """Of a library that says more of its arrays: on which stream it works, strides, whether they may be written."""

    more: dict[str, Any] = {}  # noqa: RUF012

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {**super().__cuda_array_interface__, **self.more}


def test_arrays_of_two_streams_are_refused(emulation: Callable[[], None]) -> None:
    """What one library is still computing on its stream would be read on the other's."""
    emulation()
    volume, out = Described(np.zeros((2, 3, 4), np.float32)), Described(np.zeros((3, 5, 7), np.float32))
    for own, other in ((7, 7), (7, None), (None, 9), (1, 1)):
        volume.more, out.more = {"stream": own}, {"stream": other}
        assert ops.resample(volume, (3, 5, 7), out=out) is out
    volume.more, out.more = {"stream": 7}, {"stream": 9}
    with pytest.raises(DeviceError, match="expected volume and out of libraries that work on one stream, got 0x7"):
        ops.resample(volume, (3, 5, 7), out=out)


def test_what_an_out_on_a_device_lacks_is_named(emulation: Callable[[], None]) -> None:
    emulation()
    volume, out = EmulatedArray(np.zeros((2, 3, 4), np.float32)), Described(np.zeros((3, 5, 7), np.float32))
    out.more = {"strides": (560, 56, 8)}
    with pytest.raises(ValueError, match=r"expected out to be C-contiguous and writable, got strides \(560, 56, 8\)"):
        ops.resample(volume, (3, 5, 7), out=out)
    out.more = {"data": (out.__cuda_array_interface__["data"][0], True)}
    with pytest.raises(ValueError, match="got one that is read-only"):
        ops.resample(volume, (3, 5, 7), out=out)


def test_a_library_that_cannot_make_arrays_is_asked_for_out(emulation: Callable[[], None]) -> None:
    emulation()
    known = EmulatedArray(np.ones((2, 3, 4), np.float32))
    bare = SimpleNamespace(__cuda_array_interface__=known.__cuda_array_interface__)
    with pytest.raises(ValueError, match=r"\[resample\] expected out: a library without an array namespace"):
        ops.resample(bare, (3, 5, 7))


def test_the_emulation_says_what_it_is(emulation: Callable[[], None]) -> None:
    emulation()
    info = ops.build_info()
    assert info["cuda_built"] and info["cuda_emulated"] and info["cuda_devices"] == []
    assert "emulated on the CPU for tests" in info["cuda_reason"]


def test_a_histogram_of_integers_is_filled_on_the_host(emulation: Callable[[], None]) -> None:
    """A GPU cannot write to the NumPy array that the caller gets; in the emulation it could, unseen."""
    emulation()
    volume, bins = EmulatedArray(np.array([3, 3, 200], np.uint8)), EmulatedArray(np.zeros(256, np.int64))
    found = ops.intensity_stats(volume, percentiles=(50.0,))
    assert isinstance(found.histogram, np.ndarray) and (found.histogram[3], found.histogram[200]) == (2, 1)
    core = cuda_twins.emulated_core()
    assert not isinstance(core, str)
    options = {"within": "all", "mask": None, "percentiles": [], "only_ranks": False, "threads": 0, "stream": 0}
    with pytest.raises(ValueError, match=r"expected a histogram in the memory of the CPU, got one on a CUDA device"):
        core.intensity_stats(volume, histogram=bins, **options)


def test_no_coalitions_are_no_images_and_labels_are_looked_at(emulation: Callable[[], None]) -> None:
    emulation()
    compose = on_device(ops.layer_compose, EmulatedArray)
    image, labels, sets = np.zeros((2, 3, 4, 5), np.float32), np.zeros((3, 4, 5), np.uint8), np.zeros((0, 7), bool)
    assert compose(image, labels, sets, fill_values=np.zeros((2, 7), np.float32)).shape == (0, 2, 3, 4, 5)
    labels[1, 2, 3] = 9
    with pytest.raises(ValueError, match="got label 9"):
        compose(image, labels, sets, fill_values=np.zeros((2, 7), np.float32))
