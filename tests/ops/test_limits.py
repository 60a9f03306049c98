"""What a call may cost: memory, page faults, threads; and who may call: forked children, many threads, files."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from layer_fast import ops
from layer_fast.ops._native import core
from process_limits import FAULTS, MIB, check_from_many_threads, in_forked_child, linux, page_faults, peak_growth, raw

GRID = (80, 320, 336)  # a float32 result of 33 MiB is written past the caches, whatever their size: 32 MiB is the most
RNG = np.random.default_rng(11)
FLOATS = RNG.standard_normal(GRID, dtype=np.float32)
BYTES = RNG.integers(0, 256, GRID, dtype=np.uint8)
LABELS = np.sort(RNG.integers(0, 7, GRID, dtype=np.uint8), axis=1)
COARSE = RNG.random((2, 8, 8, 8), dtype=np.float32)
LOGITS = RNG.standard_normal((7, 20, 40, 42), dtype=np.float32)
IMAGE = FLOATS[None, :20]
SETS = RNG.random((4, 7)) > 0.5
ORDER: dict[str, Any] = {"quantiles": (0.5, 0.95), "top_fraction": 0.05}

Call = Callable[..., Any]
WITH_OUT: dict[str, tuple[Call, tuple[int, ...], str]] = {
    "zscore": (lambda **k: ops.normalize(BYTES, within="nonzero", **k), GRID, "f4"),
    "percentile": (lambda **k: ops.normalize(FLOATS, method="percentile", **k), GRID, "f4"),
    "compose": (lambda **k: ops.layer_compose(IMAGE, LABELS[:20], SETS, fill_values=np.zeros((1, 7)), **k),
                (4, 1, 20, *GRID[1:]), "f4"),
    "resample": (lambda **k: ops.resample(BYTES, GRID, grid_map=np.diag([1, 1, 0.9, 1]), **k), GRID, "f4"),
    "nearest": (lambda **k: ops.resample_labels(LABELS, GRID, **k), GRID, "u1"),
    "argmax": (lambda **k: ops.argmax_resample(LOGITS, GRID, **k), GRID, "u1"),
}  # fmt: skip
WITHOUT_OUT: dict[str, Call] = {
    "reduce": lambda **k: ops.layer_reduce(FLOATS, LABELS, **k),
    "order": lambda **k: ops.layer_reduce(FLOATS, LABELS, **ORDER, **k),
    "coarse": lambda **k: ops.layer_reduce(COARSE, LABELS, **ORDER, **k),
    "weights": lambda **k: ops.layer_weights(LABELS, (8, 8, 8), **k),
    "stats": lambda **k: ops.intensity_stats(FLOATS, within=LABELS, percentiles=(1, 99), **k),
    "counts": lambda **k: ops.intensity_stats(BYTES, percentiles=(1, 99), **k),
}


@linux
def test_the_measures_see_what_they_measure() -> None:
    def touch_fresh_pages() -> None:
        with mmap.mmap(-1, 2 * MIB) as fresh:
            fresh.write(b"1" * len(fresh))

    assert page_faults(touch_fresh_pages) >= 1  # huge pages may make it one
    assert peak_growth(lambda: np.ones(GRID, np.float32)) > 30 * MIB


@linux
@pytest.mark.parametrize("name", WITH_OUT)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_call_with_out_needs_no_fresh_memory(name: str, workers: int) -> None:
    call, shape, dtype = WITH_OUT[name]
    out = np.zeros(shape, dtype)
    assert page_faults(lambda: call(out=out, threads=workers)) < FAULTS
    assert peak_growth(lambda: call(out=out, threads=workers)) <= (workers + 1) * MIB


@linux
@pytest.mark.parametrize("name", WITHOUT_OUT)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_call_allocates_a_mebibyte_a_thread(name: str, workers: int) -> None:
    assert peak_growth(lambda: WITHOUT_OUT[name](threads=workers)) <= (workers + 1) * MIB


@pytest.mark.parametrize("name", [*WITH_OUT, *WITHOUT_OUT])
def test_many_threads_at_once_get_the_same_bytes(name: str) -> None:
    call = WITH_OUT[name][0] if name in WITH_OUT else WITHOUT_OUT[name]
    check_from_many_threads({name: call}, {name: raw(call(threads=1))})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("name", ["zscore", "order", "argmax"])
def test_a_forked_child_works_with_one_thread(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAYER_FAST_THREADS", raising=False)
    call = WITH_OUT[name][0] if name in WITH_OUT else WITHOUT_OUT[name]
    want = raw(call(threads=2))  # the parent has run threads
    assert in_forked_child(lambda: (core.resolve_threads(0), raw(call(threads=2)), raw(call()))) == (1, want, want)


@pytest.mark.parametrize("name", ["reduce", "order", "coarse", "weights"])
def test_files_are_read_where_they_lie(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    want = raw(WITHOUT_OUT[name]())
    for variable, array in (("FLOATS", FLOATS), ("LABELS", LABELS), ("COARSE", COARSE)):
        np.save(tmp_path / f"{variable}.npy", array)
        mapped = np.load(tmp_path / f"{variable}.npy", mmap_mode="r")
        assert not mapped.flags.writeable
        monkeypatch.setitem(globals(), variable, mapped)
    assert raw(WITHOUT_OUT[name]()) == want


def unaligned_out(shape: tuple[int, ...], floats: int) -> NDArray[np.float32]:
    """Zeros that begin so many floats after a boundary of 64 bytes."""
    memory = np.zeros(int(np.prod(shape)) + 32, np.float32)
    first = -memory.ctypes.data // 4 % 16 + floats
    return memory[first : first + int(np.prod(shape))].reshape(shape)


@pytest.mark.parametrize("name", ["zscore", "percentile", "compose"])
@pytest.mark.parametrize("floats", [1, 7, 16])
def test_large_results_are_those_of_small_ones(name: str, floats: int) -> None:
    call, shape, _ = WITH_OUT[name]
    got = call(out=unaligned_out(shape, floats))
    if name == "compose":
        want = [ops.layer_compose(IMAGE, LABELS[:20], row[None], fill_values=np.zeros((1, 7)))[0] for row in SETS]
    else:
        source = BYTES if name == "zscore" else FLOATS
        stats = ops.intensity_stats(source, within="nonzero" if name == "zscore" else "all", percentiles=(0.5, 99.5))
        low, high = (stats.mean, stats.mean + stats.std) if name == "zscore" else stats.percentiles
        factor = 1.0 / (high - low if name == "percentile" else stats.std)
        scaled = (source - np.float64(low)) * factor
        want = (scaled if name == "zscore" else scaled.clip(0, 1)).astype(np.float32)
    np.testing.assert_array_equal(got, want)


LONG, MANY = (1, 1, 2**31), (4, 2**15, 2**15)


@linux
@pytest.mark.parametrize(
    ("shape", "call", "words"),
    [
        (LONG, lambda labels: ops.layer_reduce(np.zeros((1, 1, 4), np.float32), labels), "2.31 voxels along each axis"),
        (LONG, lambda labels: ops.layer_weights(labels, (1, 1, 4)), "expected labels with fewer than 2.31 voxels"),
        (LONG, lambda labels: ops.resample(labels, (1, 1, 4)), "expected a volume with fewer than 2.31 voxels"),
        (
            LONG,
            lambda labels: ops.resample_labels(labels, (1, 1, 4), mode="fraction", num_labels=1),
            "expected labels with fewer than 2.31 voxels",
        ),
        (
            MANY,
            lambda labels: ops.layer_reduce(np.zeros((1, 1, 1), np.float32), labels, quantiles=(0.5,)),
            "expected fewer than 2.32 voxels with quantiles",
        ),
    ],
)
def test_sizes_beyond_the_bits_of_an_index_are_refused(shape: tuple[int, ...], call: Call, words: str) -> None:
    """Before anything is read: the gigabytes of zeros are addresses only."""
    with pytest.raises(ValueError, match=words):
        call(np.zeros(shape, np.uint8))
