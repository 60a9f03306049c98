"""layer_weights against the oracle and against layer_reduce, whose adjoint it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle_layers as oracle
import tolerances
from layer_fast import ops


def layered(shape: tuple[int, int, int], num_layers: int = 6) -> np.ndarray:
    z, y, x = np.indices(shape)
    return np.clip((y + np.sin(0.2 * x + z)) * (num_layers + 1) / shape[1], 0, num_layers).astype(np.uint8)


@pytest.mark.not_emulated
@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 12), st.integers(1, 20)),
    share=st.tuples(*[st.floats(0.01, 1.0)] * 3),
    num_layers=st.sampled_from([0, 2, 255]),
    seed=st.integers(0, 1000),
)
def test_against_the_oracle(
    shape: tuple[int, int, int], share: tuple[float, float, float], num_layers: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_layers + 1, shape, dtype=np.uint8)
    map_shape = tuple(max(1, int(n * s)) for n, s in zip(shape, share, strict=True))
    weights = ops.layer_weights(labels, map_shape, num_layers=num_layers)
    want = oracle.layer_weights(labels, map_shape, num_layers)
    np.testing.assert_allclose(weights, want, rtol=tolerances.WEIGHTS_RELATIVE, atol=tolerances.WEIGHTS_RELATIVE)


@pytest.mark.parametrize("oblique", [False, True])
def test_a_grid_map_against_the_oracle(oblique: bool, threads: int) -> None:
    labels = layered((7, 12, 15))
    matrix = np.array([[0.5, 0, 0, -0.7], [0, -0.3, 0, 3.4], [0, 0, 0.25, 0.2], [0, 0, 0, 1]])
    if oblique:
        matrix[:3, :3] += 0.04
    weights = ops.layer_weights(labels, (3, 4, 5), grid_map=matrix, threads=threads)
    want = oracle.layer_weights(labels, (3, 4, 5), 6, matrix)
    np.testing.assert_allclose(weights, want, rtol=tolerances.WEIGHTS_RELATIVE, atol=tolerances.WEIGHTS_RELATIVE)


@pytest.mark.parametrize("oblique", [False, True])
def test_the_dot_product_with_a_map_is_its_sum_per_layer(oblique: bool) -> None:
    labels = layered((9, 48, 50))
    coarse = np.random.default_rng(3).standard_normal((4, 5, 6, 7)).astype(np.float32)
    matrix = None
    if oblique:
        matrix = np.array([[0.5, 0.01, 0, 0], [0, 0.12, 0, 0.1], [0.02, 0, 0.13, 0.2], [0, 0, 0, 1]])
    weights = ops.layer_weights(labels, (5, 6, 7), grid_map=matrix)
    moments = ops.layer_reduce(coarse, labels, grid_map=matrix)
    sums = np.einsum("lzyx,kzyx->kl", weights, coarse.astype(np.float64))
    bound = tolerances.INTERPOLATION_RELATIVE * np.abs(coarse).max() * np.maximum(moments.count, 1)
    assert (np.abs(sums - moments.sum) <= bound).all()


def test_the_weights_of_a_layer_add_to_its_voxels_and_bytes_do_not_depend_on_threads() -> None:
    labels = layered((11, 60, 70))
    results = [ops.layer_weights(labels, (4, 8, 9), threads=n) for n in (1, 2, 3)]
    np.testing.assert_allclose(results[0].sum(axis=(1, 2, 3)), np.bincount(labels.ravel(), minlength=7), rtol=1e-12)
    assert len({r.tobytes() for r in results}) == 1
    oblique = np.eye(4) * 0.3 + 0.01
    oblique[3] = (0, 0, 0, 1)
    assert len({ops.layer_weights(labels, (4, 8, 9), grid_map=oblique, threads=n).tobytes() for n in (1, 2, 3)}) == 1


def test_the_labels_own_grid_gives_indicators() -> None:
    labels = layered((2, 9, 8))
    want = (labels[None] == np.arange(7)[:, None, None, None]).astype(np.float64)
    np.testing.assert_array_equal(ops.layer_weights(labels, labels.shape), want)


@pytest.mark.parametrize(
    ("labels", "map_shape", "options", "text"),
    [
        (np.full((2, 3, 4), 7, np.uint8), (1, 1, 1), {}, "num_layers = 6, got label 7"),
        (np.zeros((2, 3, 4), np.uint8), (2, 3, 5), {}, "maps no finer than the labels"),
        (np.zeros((2, 3, 4), np.uint8), (2, 3), {}, "three positive numbers"),
        (np.zeros((2, 3, 4), np.uint8), (1, 1, 1), {"num_layers": -1}, "num_layers from 0 to 255"),
        (np.zeros((2, 3, 0), np.uint8), (1, 1, 1), {"grid_map": np.eye(4)}, "labels .z, y, x. with voxels"),
    ],
)
def test_wrong_arguments_are_named(labels: np.ndarray, map_shape: tuple[int, ...], options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ops.layer_weights(labels, map_shape, **options)
