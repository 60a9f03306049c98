"""A batch of scans gives the bytes of one call for each scan, on every twin."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from layer_fast import ops
from layered_maps import layered, signed_map

ORDER = {"quantiles": (0.0, 0.25, 0.5, 1.0), "top_fraction": 0.05}
BINS = {"histogram": (-1.0, 1.0, 16)}
SHAPES = [(1, 1, 1), (1, 3, 5), (2, 41, 70), (3, 64, 128)]


def scans_of(shape: tuple[int, ...], n: int, k: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """maps (n, k, z, y, x) and labels (n, z, y, x), no two scans alike; one without layers 5 and 6, one with holes."""
    maps = np.stack([[signed_map(shape, 10 * i + j) for j in range(k)] for i in range(n)])
    labels = np.stack([np.roll(layered(shape, 6), i, axis=-2) for i in range(n)])
    labels[0][labels[0] > 4] = 0
    rng = np.random.default_rng(3)
    maps[-1][rng.random(maps[-1].shape) < 0.05] = np.nan
    return maps, labels


def check(together: ops.LayerMoments, alone: list[ops.LayerMoments]) -> None:
    for field in dataclasses.fields(together):
        got = getattr(together, field.name)
        want = [getattr(one, field.name) for one in alone]
        if not isinstance(got, np.ndarray):
            assert all(got == value for value in want), field.name
        elif field.name == "edges":
            np.testing.assert_array_equal(got, want[0])
        else:
            assert (got.shape, got.tobytes()) == ((len(want), *want[0].shape), np.stack(want).tobytes()), field.name


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("asked", [{}, ORDER, BINS], ids=["moments", "order", "histogram"])
def test_scans_with_their_own_masks(shape: tuple[int, ...], n: int, asked: dict[str, Any], threads: int) -> None:
    maps, labels = scans_of(shape, n, 2)
    together = ops.layer_reduce(maps, labels, threads=threads, **asked)
    check(together, [ops.layer_reduce(maps[i], labels[i], threads=1, **asked) for i in range(n)])


def test_one_map_a_scan_has_an_axis_of_one_map() -> None:
    maps, labels = scans_of((2, 41, 70), 3)
    together = ops.layer_reduce(maps[:, 0], labels)
    assert together.sum.shape == (3, 1, 7)
    check(together, [ops.layer_reduce(maps[i, 0], labels[i]) for i in range(3)])
    assert together.mean().shape == together.std().shape == (3, 1, 7)


@pytest.mark.parametrize("oblique", [False, True])
def test_coarse_maps(oblique: bool) -> None:
    maps, _ = scans_of((2, 5, 9), 3, 2)
    _, labels = scans_of((3, 64, 128), 3)
    matrix = np.diag([0.5, 0.08, 0.07, 1.0])
    matrix[0, 1] = 0.01 if oblique else 0.0
    named = {"grid_map": matrix}
    together = ops.layer_reduce(maps, labels, **named)
    check(together, [ops.layer_reduce(maps[i], labels[i], **named) for i in range(3)])
    check(ops.layer_reduce(maps, labels), [ops.layer_reduce(maps[i], labels[i]) for i in range(3)])


@pytest.mark.parametrize("coarse", [False, True])
def test_soft_masks(coarse: bool, threads: int) -> None:
    shape = (2, 41, 70)
    maps, _ = scans_of((1, 7, 11) if coarse else shape, 3, 2)
    weights = np.random.default_rng(8).random((3, 7, *shape), dtype=np.float32)
    weights[1, 3] = 0.0
    together = ops.layer_reduce(maps, None, weights=weights, threads=threads)
    check(together, [ops.layer_reduce(maps[i], None, weights=weights[i], threads=1) for i in range(3)])


def test_more_layers_than_a_pass_and_masks_that_are_not_aligned() -> None:
    rng = np.random.default_rng(9)
    for shape in ((1, 5, 7), (2, 50, 70)):
        labels = rng.integers(0, 256, (3, *shape), dtype=np.uint8)
        maps = rng.standard_normal((3, *shape), dtype=np.float32)
        together = ops.layer_reduce(maps, labels, num_layers=255)
        check(together, [ops.layer_reduce(maps[i], labels[i], num_layers=255) for i in range(3)])


def test_a_refused_scan_is_named() -> None:
    maps, labels = scans_of((2, 41, 70), 3)
    labels[1, 0, 0, 0] = 9
    labels[2, 0, 0, 0] = 8
    with pytest.raises(ValueError, match=r"num_layers = 6, got label 9 in scan 1 of the batch$"):
        ops.layer_reduce(maps, labels)
    with pytest.raises(ValueError, match=r"num_layers = 6, got label 9$"):
        ops.layer_reduce(maps[1], labels[1])
    weights = np.ones((3, 7, 2, 41, 70), np.float32)
    weights[2, 0, 0, 0, 0] = -1.0
    with pytest.raises(ValueError, match=r"a negative, NaN or infinite one in scan 2 of the batch$"):
        ops.layer_reduce(maps, None, weights=weights)


def test_batches_that_do_not_fit() -> None:
    maps, labels = scans_of((2, 8, 9), 3, 2)
    with pytest.raises(ValueError, match="maps of 3 scans, as many as masks, got shape"):
        ops.layer_reduce(maps[:2], labels)
    with pytest.raises(ValueError, match="maps with 3 or 4 axes"):
        ops.layer_reduce(maps, labels[0])
    with pytest.raises(ValueError, match="maps with 4 or 5 axes"):
        ops.layer_reduce(maps[0, 0], labels)
    with pytest.raises(ValueError, match="labels or weights with voxels"):
        ops.layer_reduce(maps[:0], labels[:0])
    with pytest.raises(ValueError, match="weights of 7 layers"):
        ops.layer_reduce(maps, None, weights=np.ones((3, 6, 2, 8, 9), np.float32))


@pytest.mark.cpu_only
def test_a_batch_that_may_not_be_written_is_read() -> None:
    maps, labels = scans_of((2, 8, 9), 3, 2)
    maps.flags.writeable = labels.flags.writeable = False
    check(ops.layer_reduce(maps, labels), [ops.layer_reduce(maps[i], labels[i]) for i in range(3)])


@pytest.mark.cpu_only  # what the native side refuses by itself
def test_the_native_side_checks_too() -> None:
    from layer_fast.ops._layers import _results
    from layer_fast.ops._native import core

    maps, labels = scans_of((2, 8, 9), 3, 2)
    options: dict[str, Any] = {"weighted": False, "num_layers": 6, "grid_map": None, "quantiles": [], "threads": 1}
    options |= {"top_fraction": None, "histogram": None, "stream": 0}
    out = _results((3, 2, 7), 0, False, None, maps)
    for given, mask, into in (
        (maps, labels[:2], out),
        (maps[:, 0], labels, out),
        (maps, labels, _results((2, 2, 7), 0, False, None, maps)),
        (maps, labels[0], out),
    ):
        with pytest.raises(ValueError, match="expected"):
            core.layer_reduce(given, mask, into, **options)
    core.layer_reduce(maps, labels, out, **options)
