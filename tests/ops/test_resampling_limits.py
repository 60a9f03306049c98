"""What resampling may cost and stand: memory, page faults, many callers, forks, thin and huge volumes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oracle_resampling as oracle
from layer_fast import ops
from process_limits import FAULTS, MIB, check_from_many_threads, in_forked_child, linux, page_faults, peak_growth, raw
from tolerances import BSPLINE_RELATIVE, RESAMPLE_RELATIVE

SHAPE, GRID = (100, 256, 200), (128, 128, 128)  # a copy of either is more than a call may allocate
RNG = np.random.default_rng(8)
VOLUME = RNG.integers(0, 256, SHAPE).astype(np.uint8)
LABELS = VOLUME % 5
LOGITS = RNG.normal(size=(7, 64, 64, 64)).astype(np.float32)
OBLIQUE = np.array([[0.4, 0.1, 0, 0.3], [-0.1, 0.6, 0.05, 6], [0, -0.1, 0.5, 9], [0, 0, 0, 1.0]])

CALLS: dict[str, Callable[..., Any]] = {
    **{kind: lambda out, threads, kind=kind: ops.resample(VOLUME, GRID, interpolation=kind, out=out, threads=threads)
       for kind in ("nearest", "linear", "cubic", "bspline")},
    "antialias": lambda out, threads: ops.resample(VOLUME, (20, 30, 40), antialias=True, out=out, threads=threads),
    "oblique": lambda out, threads: ops.resample(VOLUME, GRID, grid_map=OBLIQUE, out=out, threads=threads),
    "labels": lambda out, threads: ops.resample_labels(VOLUME, GRID, out=out, threads=threads),
    "fraction": lambda out, threads: ops.resample_labels(
        LABELS, (40, 40, 40), mode="fraction", num_labels=5, out=out, threads=threads),
    "argmax": lambda out, threads: ops.argmax_resample(LOGITS, GRID, out=out, threads=threads),
}  # fmt: skip


@linux
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_call_with_out_needs_no_fresh_memory(name: str, threads: int) -> None:
    out = CALLS[name](None, threads)
    assert page_faults(lambda: CALLS[name](out, threads)) < FAULTS
    assert peak_growth(lambda: CALLS[name](out, threads)) <= (threads + 1) * MIB


def test_many_python_threads_at_once() -> None:
    expected = {name: raw(call(None, 1)) for name, call in CALLS.items()}
    check_from_many_threads({name: partial(call, None, 2) for name, call in CALLS.items()}, expected)


@pytest.mark.parametrize("name", ["linear", "bspline", "argmax"])
def test_forked_children_of_a_process_that_has_run_threads(name: str) -> None:
    expected = raw(CALLS[name](None, 2))
    assert in_forked_child(lambda: raw(CALLS[name](None, 2))) == expected


@pytest.mark.parametrize("shape", [(1, 9, 21), (9, 1, 21), (9, 21, 1), (1, 1, 40), (1, 40, 1), (40, 1, 1), (1, 1, 1)])
@pytest.mark.parametrize("target", [(5, 6, 33), (1, 1, 1), (12, 1, 5)])
@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic", "bspline"])
def test_axes_of_one_voxel(shape: tuple[int, int, int], target: tuple[int, int, int], interpolation: str) -> None:
    for dtype in (np.uint8, np.float32):
        volume = RNG.integers(0, 256, shape).astype(dtype)
        relative = BSPLINE_RELATIVE if interpolation == "bspline" else RESAMPLE_RELATIVE
        for grid_map in (None, np.diag([0.7, 0.8, 0.6, 1.0]), OBLIQUE):
            options: dict[str, Any] = {"interpolation": interpolation, "grid_map": grid_map}
            got = ops.resample(volume, target, **options)
            expected = oracle.resample(volume, target, **options)
            np.testing.assert_allclose(got, expected, rtol=0, atol=256 * relative)


@pytest.mark.parametrize("classes", [1, 2, 7, 255, 256])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 17), (2, 5, 8)])
def test_argmax_of_thin_grids(classes: int, shape: tuple[int, int, int]) -> None:
    logits = RNG.normal(size=(classes, *shape)).astype(np.float32)
    for target in ((1, 1, 1), (4, 6, 40), (2, 9, 3)):
        full = np.stack([ops.resample(one, target) for one in logits])
        np.testing.assert_array_equal(ops.argmax_resample(logits, target), full.argmax(0))


@pytest.mark.parametrize("gap", [0.0, 1e-38, 1e-7, 3e-7, 1e-6, 2e-6, 1e-5])
@pytest.mark.parametrize("scale", [1e-37, 1.0, 1e30])
def test_early_decisions_are_those_of_interpolation(gap: float, scale: float) -> None:
    """Logits that differ by about the rounding, in areas that one class leads all through."""
    base = (1 + RNG.random((9, 10, 24))) * scale
    lead = np.where(np.arange(24) < 12, 0, 3)
    logits = np.stack([base * (1 + gap * (k == lead) + gap * RNG.integers(-1, 2, base.shape) / 8) for k in range(5)])
    logits = logits.astype(np.float32)
    full = np.stack([ops.resample(one, (31, 25, 90)) for one in logits])
    np.testing.assert_array_equal(ops.argmax_resample(logits, (31, 25, 90)), full.argmax(0))


def test_a_nan_in_a_plane_that_no_output_reads_is_found() -> None:
    logits = LOGITS.copy()
    logits[3, 63, 5, 5] = np.nan
    with pytest.raises(ValueError, match="got 1 that are NaN or infinite"):
        ops.argmax_resample(logits, (64, 64, 64), grid_map=np.diag([0.2, 0.5, 0.5, 1.0]))


def test_more_than_two_to_the_31_voxels_and_a_read_only_file(tmp_path: Path) -> None:
    shape = (3, 30000, 30000)
    path = tmp_path / "volume.raw"
    with path.open("wb") as file:
        file.truncate(int(np.prod(shape)))  # sparse: only what is read is ever in memory
    writer = np.memmap(path, np.uint8, "r+", shape=shape)
    writer[2, 29990:] = 7
    volume = np.memmap(path, np.uint8, "r", shape=shape)
    grid_map = np.diag([1.0, 1.0, 1.0, 1.0])
    grid_map[:3, 3] = 1, 29980, 29900
    expected = np.zeros((2, 20, 100), np.uint8)
    expected[1, 10:] = 7
    for interpolation in ("nearest", "linear", "cubic"):
        got = ops.resample(volume, (2, 20, 100), interpolation=interpolation, grid_map=grid_map)
        np.testing.assert_array_equal(got, expected, err_msg=interpolation)
    turned = grid_map.copy()
    turned[0, 2] = 1e-12  # mixes the axes: the path of single voxels
    np.testing.assert_allclose(ops.resample(volume, (2, 20, 100), grid_map=turned), expected, atol=1e-6)


def test_streamed_rows_are_those_of_the_cache() -> None:
    """An output above any cache, its rows at every offset from a line of memory."""
    volume = RNG.random((20, 64, 50), np.float32)
    shape = (70, 641, 401)
    out = np.empty(int(np.prod(shape)) + 16, np.float32)
    for offset in (0, 1, 5):
        view = out[offset : offset + int(np.prod(shape))].reshape(shape)
        ops.resample(volume, shape, out=view, threads=2)
        for z in (0, 33, 69):
            part = np.diag([20 / 70, 64 / 641, 50 / 401, 1.0])
            part[:3, 3] = [(z + 0.5) * 20 / 70 - 0.5, 0.5 * 64 / 641 - 0.5, 0.5 * 50 / 401 - 0.5]
            one = ops.resample(volume, (1, 641, 401), grid_map=part)
            np.testing.assert_allclose(view[z : z + 1], one, rtol=0, atol=1e-5)
