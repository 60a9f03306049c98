"""Rules of GatherND, ScatterND, GatherElements and TopK against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphs.single import check_smooth, helper, model
from layer_fast import graphs
from layer_fast.errors import ModelError

R = np.random.default_rng(8)
X = R.standard_normal((5, 4, 2, 3))
GRID = np.stack(np.meshgrid([3, 0, -1, 0], [1, 1, 2], indexing="ij"), -1)
LOOSE = R.integers(-4, 4, (6, 2))

GATHERS = {
    "one axis": np.array([[1], [0], [0], [-1]]),
    "one axis, two of indices": np.array([[[1], [0]], [[4], [4]]]),
    "grid": GRID,
    "no order": LOOSE,
    "single elements": R.integers(0, 2, (3, 2, 4)),
}


@pytest.mark.parametrize("indices", GATHERS.values(), ids=GATHERS)
def test_gather_nd(indices: np.ndarray) -> None:
    check_smooth("GatherND", X, [indices])


def test_gather_nd_of_a_grid_needs_no_large_matrix() -> None:
    """Nearest sampling of a volume as torch exports it: 4,096 elements in, 7,392 out."""
    axes = [np.arange(n) * 16 // n for n in (21, 11, 32)]
    m = model("GatherND", np.zeros((16, 16, 16, 1), np.float32), [np.stack(np.meshgrid(*axes, indexing="ij"), -1)])
    g = graphs.gradient(m, "y", ["x"])
    assert max(np.prod(t.dims) for t in g.graph.initializer if t.data_type == 1) == 32 * 16


def test_gather_nd_without_order_is_refused_where_it_would_be_huge() -> None:
    x = np.zeros((64, 64, 64), np.float32)
    m = model("GatherND", x, [R.integers(0, 64, (100, 3))])
    with pytest.raises(ModelError, match=r"the_node.*100 indices into 262144 elements"):
        graphs.gradient(m, "y", ["x"])


@pytest.mark.parametrize("before", [0, 2], ids=["data", "updates"])
def test_scatter_nd(before: int) -> None:
    """t[1:3, ::2] = u, as the exporter writes it."""
    indices = np.stack(np.meshgrid([1, 2], [0, 2], indexing="ij"), -1)
    data, updates = X, R.standard_normal((2, 2, 2, 3))
    if before:
        check_smooth("ScatterND", updates, [data, indices], before=2)
    else:
        check_smooth("ScatterND", data, [indices, updates])


def test_scatter_nd_that_adds_is_refused() -> None:
    m = model(
        "ScatterND", X.astype(np.float32), [np.array([[1]]), X[:1].astype(np.float32)], attributes={"reduction": "add"}
    )
    with pytest.raises(ModelError, match=r"the_node.*'add'"):
        graphs.gradient(m, "y", ["x"])


@pytest.mark.parametrize("axis", [0, 2, 3])
def test_gather_elements(axis: int) -> None:
    shape = list(X.shape)
    length, shape[axis] = shape[axis], 2
    for kind in (np.int64, np.int32):
        indices = R.integers(-length, length, shape).astype(kind)
        check_smooth("GatherElements", X, [indices], attributes={"axis": axis})


def test_gather_elements_of_a_part_is_refused() -> None:
    m = model("GatherElements", X.astype(np.float32), [np.zeros((5, 2, 2, 1), int)], attributes={"axis": 3})
    with pytest.raises(ModelError, match=r"the_node.*axis 1.*size 2.*4"):
        graphs.gradient(m, "y", ["x"])


@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("axis", [1, -1])
def test_top_k(axis: int, largest: int) -> None:
    node: Any = helper.make_node("TopK", ["x", "c0"], ["y", "where"], name="the_node", axis=axis, largest=largest)
    check_smooth("TopK", X, [np.array([2])], graph_nodes=[node])
