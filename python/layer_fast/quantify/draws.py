"""Random draws that are the same on every machine and with every NumPy: from raw PCG64 words only."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


class Draws:
    """A stream named by a seed and words, so that one table's draws do not depend on which other tables exist."""

    def __init__(self, seed: int, *words: str) -> None:
        digest = hashlib.sha256("\x1f".join([str(int(seed)), *words]).encode()).digest()
        self._bits = np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest, "big")))

    def with_replacement(self, rows: int, n: int) -> NDArray[np.int64]:
        """(rows, n) indices, each uniform in 0..n-1."""
        unit = (self._raw(rows, n) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return np.floor(unit * n).astype(np.int64)

    def permutations(self, rows: int, n: int) -> NDArray[np.int64]:
        """(rows, n): each row a uniform order of 0..n-1."""
        return np.argsort(self._raw(rows, n), axis=1, kind="stable")

    def _raw(self, rows: int, n: int) -> NDArray[np.uint64]:
        return np.asarray(self._bits.random_raw(rows * n), dtype=np.uint64).reshape(rows, n)


def times_drawn(index: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """(rows, n): how often each of n subjects stands in each row of `index` (rows, k)."""
    rows = np.arange(len(index))[:, None] * n
    return np.bincount((index + rows).ravel(), minlength=len(index) * n).reshape(len(index), n)
