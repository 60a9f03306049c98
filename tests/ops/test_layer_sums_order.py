"""The bits of `layer_reduce`: sums in the order that ops/layer_reduce_accum.hpp says, whatever path adds them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from layer_fast import ops

TILE, LANES, STRIP = 16384, 16, 64


def plain(labels: np.ndarray, values: np.ndarray) -> bool:
    """Whether a group is whole, finite, and of its first and its last voxel's labels alone."""
    whole = len(labels) == LANES and bool(np.isfinite(values).all())
    return whole and bool(np.isin(labels, (labels[0], labels[-1])).all())


def tile_sums(values: np.ndarray, labels: np.ndarray, rows: int) -> np.ndarray:
    """(3, rows): positive, negative and squared sums of one tile, lane by lane and group by group."""
    kinds = np.zeros((2, 3, rows, LANES))  # plain, mixed
    for start in range(0, len(values), LANES):
        value, label = values[start : start + LANES], labels[start : start + LANES]
        sums = kinds[0 if plain(label, value) else 1]
        for lane, (v, row) in enumerate(zip(value.astype(np.float64), label, strict=True)):
            if np.isfinite(v):
                sums[0, row, lane] += max(v, 0.0)
                sums[1, row, lane] += min(v, 0.0)
                sums[2, row, lane] += v * v
    lanes = kinds[0] + kinds[1]
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = lanes[..., :half] + lanes[..., half:]
    return lanes[..., 0]


def in_order(values: np.ndarray, labels: np.ndarray, rows: int) -> np.ndarray:
    """(3, rows) of a whole map: tiles into strips, strips into the whole."""
    whole, strip = np.zeros((3, rows)), np.zeros((3, rows))
    tiles = range(0, len(values), TILE)
    for number, start in enumerate(tiles, start=1):
        strip += tile_sums(values[start : start + TILE], labels[start : start + TILE], rows)
        if number % STRIP == 0 or number == len(tiles):
            whole, strip = whole + strip, np.zeros((3, rows))
    return whole


Labels = Callable[[np.random.Generator, int], np.ndarray]


def runs(lengths: Callable[[np.random.Generator], int], labels: int) -> Labels:
    """Labels in runs of drawn lengths, neighbours apart."""

    def make(rng: np.random.Generator, n: int) -> np.ndarray:
        found: list[np.ndarray] = []
        label = 0
        while sum(map(len, found)) < n:
            label = int(label + rng.integers(1, labels)) % labels if labels > 1 else 0
            found.append(np.full(lengths(rng), label, np.uint8))
        return np.concatenate(found)[:n]

    return make


MASKS = {
    "one label": runs(lambda rng: 5000, 1),
    "layers": runs(lambda rng: int(rng.integers(20, 400)), 4),
    "every group a border": runs(lambda rng: 24, 3),
    "more labels than chains": runs(lambda rng: int(rng.integers(30, 90)), 30),
    "short runs": runs(lambda rng: int(rng.integers(1, 40)), 7),
    "unordered": lambda rng, n: rng.integers(0, 7, n, np.uint8),
}


def hole(at: int, value: float) -> Callable[[np.ndarray], None]:
    def put(values: np.ndarray) -> None:
        values[at] = value

    return put


def late_sign(values: np.ndarray) -> None:
    values[:] = np.abs(values)
    values[len(values) // 2 :] *= -1


def no_sign(values: np.ndarray) -> None:
    values[:] = np.abs(values)


MAPS: dict[str, Callable[[np.ndarray], None]] = {
    "signed": lambda values: None,
    "unsigned": no_sign,
    "negative from the middle": late_sign,
    "a NaN": hole(3000, np.nan),
    "Inf at an end": hole(16384 + 2047, np.inf),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("kind", MAPS)
def test_sums_are_added_in_the_order_that_is_written_down(mask: str, kind: str) -> None:
    rng, n = np.random.default_rng(5), 2 * TILE + 5003
    labels = MASKS[mask](rng, n)
    values = rng.standard_normal(n).astype(np.float32) * np.float32(1e3) ** rng.uniform(-1, 1, n).astype(np.float32)
    MAPS[kind](values)
    rows = int(labels.max()) + 1
    pos, neg, sq = in_order(values, labels, rows)
    for threads in (1, 2):
        found = ops.layer_reduce(values.reshape(1, 1, n), labels.reshape(1, 1, n), num_layers=rows - 1, threads=threads)
        np.testing.assert_array_equal(found.sum_pos.ravel(), pos)
        np.testing.assert_array_equal(found.sum.ravel(), pos + neg)
        np.testing.assert_array_equal(found.sum_sq.ravel(), sq)
        finite = np.isfinite(values)
        for row in range(rows):
            inside = values[finite & (labels == row)]
            assert found.count.ravel()[row] == len(inside)
            if len(inside):
                assert (found.min.ravel()[row], found.max.ravel()[row]) == (inside.min(), inside.max())
