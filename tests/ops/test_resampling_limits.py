"""What resampling may cost and stand: memory, page faults, many callers, forks, thin and huge volumes."""

from __future__ import annotations

import json
import multiprocessing
import resource
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oracle_resampling as oracle
from layer_fast import ops
from tolerances import BSPLINE_RELATIVE, RESAMPLE_RELATIVE

SHAPE, GRID = (60, 96, 80), (128, 128, 128)
RNG = np.random.default_rng(8)
VOLUME = RNG.integers(0, 256, SHAPE).astype(np.uint8)
LOGITS = RNG.normal(size=(7, 32, 32, 32)).astype(np.float32)
OBLIQUE = np.array([[0.4, 0.1, 0, 0.3], [-0.1, 0.6, 0.05, 6], [0, -0.1, 0.5, 9], [0, 0, 0, 1.0]])

CALLS: dict[str, Callable[..., Any]] = {
    **{kind: lambda out, threads, kind=kind: ops.resample(VOLUME, GRID, interpolation=kind, out=out, threads=threads)
       for kind in ("nearest", "linear", "cubic", "bspline")},
    "antialias": lambda out, threads: ops.resample(VOLUME, (20, 30, 40), antialias=True, out=out, threads=threads),
    "oblique": lambda out, threads: ops.resample(VOLUME, GRID, grid_map=OBLIQUE, out=out, threads=threads),
    "labels": lambda out, threads: ops.resample_labels(VOLUME, GRID, out=out, threads=threads),
    "fraction": lambda out, threads: ops.resample_labels(
        VOLUME % 5, (40, 40, 40), mode="fraction", num_labels=5, out=out, threads=threads),
    "argmax": lambda out, threads: ops.argmax_resample(LOGITS, GRID, out=out, threads=threads),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("threads", [1, 2])
def test_the_second_call_with_out_takes_few_page_faults(name: str, threads: int) -> None:
    out = CALLS[name](None, threads)
    CALLS[name](out, threads)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    CALLS[name](out, threads)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 200


PEAK = """
import json, resource, sys, numpy as np
from layer_fast import ops
volume = np.random.default_rng(0).integers(0, 7, (100, 256, 200)).astype(np.uint8)
logits = np.random.default_rng(0).normal(size=(7, 64, 64, 64)).astype(np.float32)
outs = {n: np.ones(s, n) for n, s in (("float32", (128, 128, 128)), ("uint8", (128, 128, 128)))}
parts = np.ones((7, 40, 40, 40), np.float32)
ops.resample(volume[:8, :8, :8].copy(), (4, 4, 4), threads=2)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
grown = {}
for name, call in {
    "linear": lambda: ops.resample(volume, (128, 128, 128), out=outs["float32"], threads=2),
    "antialias": lambda: ops.resample(volume, (128, 128, 128), antialias=True, out=outs["float32"], threads=2),
    "bspline": lambda: ops.resample(volume, (128, 128, 128), interpolation="bspline", out=outs["float32"], threads=2),
    "nearest": lambda: ops.resample_labels(volume, (128, 128, 128), out=outs["uint8"], threads=2),
    "fraction": lambda: ops.resample_labels(volume, (40, 40, 40), mode="fraction", num_labels=7, out=parts, threads=2),
    "argmax": lambda: ops.argmax_resample(logits, (128, 128, 128), out=outs["uint8"], threads=2),
}.items():
    before = peak(); call(); grown[name] = peak() - before
print(json.dumps(grown))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss counts KiB on Linux only")
def test_no_operation_allocates_more_than_a_mib_a_thread() -> None:
    grown = json.loads(subprocess.check_output([sys.executable, "-c", PEAK], text=True))
    assert max(grown.values()) <= 2 * 1024 + 512, grown  # two threads and their stacks


def test_many_python_threads_at_once() -> None:
    expected = {name: call(None, 1) for name, call in CALLS.items()}
    with ThreadPoolExecutor(8) as pool:
        jobs = [(name, pool.submit(CALLS[name], None, 2)) for name in list(CALLS) * 4]
        for name, job in jobs:
            np.testing.assert_array_equal(job.result(), expected[name], err_msg=name)


def _child(name: str, queue: Any) -> None:
    queue.put(CALLS[name](None, 2).tobytes())


@pytest.mark.parametrize("name", ["linear", "bspline", "argmax"])
def test_forked_children_of_a_process_that_has_run_threads(name: str) -> None:
    expected = CALLS[name](None, 2).tobytes()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_child, args=(name, queue))
    child.start()
    assert queue.get(timeout=60) == expected
    child.join(60)
    assert child.exitcode == 0


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
    logits[3, 31, 5, 5] = np.nan
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
