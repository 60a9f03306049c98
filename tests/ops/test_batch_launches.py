"""A batch of scans takes a GPU the launches of one scan: counted by the emulation."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import cuda_twins
from layer_fast import ops
from layered_maps import layered, signed_map

SHAPE, COARSE, TO = (2, 20, 30), (1, 4, 6), (3, 10, 40)
OBLIQUE = np.array([[1.0, 0.1, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
Call = Callable[[Callable[..., Any], int], Any]


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    core = cuda_twins.emulated_core()
    if isinstance(core, str):
        pytest.skip(core)
    cuda_twins.use_emulation(monkeypatch, core)
    return core


def maps(n: int, shape: tuple[int, int, int]) -> np.ndarray:
    return np.stack([signed_map(shape, i) for i in range(n)])


def labels(n: int) -> np.ndarray:
    return np.stack([layered(SHAPE, 6)] * n)


def counted(core: ModuleType, op: Callable[..., Any], call: Call, n: int) -> int:
    before = cuda_twins.launches(core)
    call(cuda_twins.on_device(op, cuda_twins.EmulatedArray), n)
    return cuda_twins.launches(core) - before


REDUCE: dict[str, Call] = {
    "moments": lambda op, n: op(maps(n, SHAPE), labels(n)),
    "coarse": lambda op, n: op(maps(n, COARSE), labels(n)),
    "histogram": lambda op, n: op(maps(n, SHAPE), labels(n), histogram=(-1.0, 1.0, 8)),
    "weights": lambda op, n: op(maps(n, SHAPE), None, weights=np.ones((n, 7, *SHAPE), np.float32)),
}
RESAMPLE: dict[str, Call] = {
    "nearest": lambda op, n: op(maps(n, SHAPE), TO, interpolation="nearest"),
    "linear": lambda op, n: op(maps(n, SHAPE), TO),
    "oblique": lambda op, n: op(maps(n, SHAPE), TO, grid_map=OBLIQUE),
}


@pytest.mark.parametrize("name", REDUCE)
def test_layer_reduce(emulated: ModuleType, name: str) -> None:
    one, four = (counted(emulated, ops.layer_reduce, REDUCE[name], n) for n in (1, 4))
    assert one == four > 0


@pytest.mark.parametrize("name", RESAMPLE)
def test_resample(emulated: ModuleType, name: str) -> None:
    one, four = (counted(emulated, ops.resample, RESAMPLE[name], n) for n in (1, 4))
    assert one == four > 0


def test_what_is_launched_scan_by_scan_counts_as_such(emulated: ModuleType) -> None:
    bspline: Call = lambda op, n: op(maps(n, SHAPE), TO, interpolation="bspline")  # noqa: E731
    one, four = (counted(emulated, ops.resample, bspline, n) for n in (1, 4))
    assert four == 4 * one > 0
