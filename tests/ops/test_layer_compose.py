"""layer_compose against the oracle: every voxel is the image's or the fill's, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle_layers as oracle
from layer_fast import ops


def case(
    channels: int, shape: tuple[int, int, int], sets: int, rows: int, seed: int, whole: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    image = rng.standard_normal((channels, *shape)).astype(np.float32)
    labels = rng.integers(0, rows, shape, dtype=np.uint8)
    coalitions = rng.random((sets, rows)) < 0.5
    fill = rng.standard_normal((channels, *shape) if whole else (channels, rows)).astype(np.float32)
    return image, labels, coalitions, fill


@settings(max_examples=60, deadline=None)
@given(
    channels=st.integers(1, 3),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 50)),
    sets=st.integers(0, 9),
    rows=st.sampled_from([1, 2, 7, 32, 33, 256]),
    seed=st.integers(0, 1000),
    whole=st.booleans(),
)
def test_against_the_oracle(
    channels: int, shape: tuple[int, int, int], sets: int, rows: int, seed: int, whole: bool
) -> None:
    image, labels, coalitions, fill = case(channels, shape, sets, rows, seed, whole)
    want = oracle.layer_compose(image, labels, coalitions, fill)
    for threads in (1, 3):
        got = ops.layer_compose(image, labels, coalitions, fill_values=fill, threads=threads)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, want)


def test_all_128_coalitions_of_six_layers_and_background(threads: int) -> None:
    image, labels, _, fill = case(2, (5, 32, 41), 1, 7, 1, True)
    coalitions = (np.arange(128)[:, None] >> np.arange(7) & 1).astype(bool)
    got = ops.layer_compose(image, labels, coalitions, fill_values=fill, threads=threads)
    np.testing.assert_array_equal(got, oracle.layer_compose(image, labels, coalitions, fill))
    np.testing.assert_array_equal(got[0], fill)
    np.testing.assert_array_equal(got[127], image)


def test_nan_is_copied_and_not_computed_with() -> None:
    image = np.full((1, 1, 1, 4), np.nan, np.float32)
    labels = np.array([[[0, 1, 0, 1]]], np.uint8)
    got = ops.layer_compose(image, labels, np.array([[True, False]]), fill_values=np.array([[5.0, 7.0]], np.float32))
    np.testing.assert_array_equal(got[0, 0, 0, 0], [np.nan, 7.0, np.nan, 7.0])


@pytest.mark.cpu_only  # what is moved to a device loses its strides and byte order
def test_out_is_used_and_views_are_read() -> None:
    image, labels, coalitions, fill = case(2, (3, 8, 9), 4, 7, 2, False)
    out = np.empty((4, *image.shape), np.float32)
    wide = np.repeat(image, 2, axis=3)[..., ::2].astype(">f4")
    labels.flags.writeable = False
    got = ops.layer_compose(wide, labels, np.asfortranarray(coalitions), fill_values=fill.astype(np.float64), out=out)
    assert got is out
    np.testing.assert_array_equal(out, oracle.layer_compose(image, labels, coalitions, fill))


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"labels": np.full((2, 3, 4), 2, np.uint8)}, ValueError, "labels below the 2 columns .*, got label 2"),
        ({"labels": np.full((2, 3, 4), 40, np.uint8)}, ValueError, "got label 40"),
        ({"labels": np.zeros((2, 3, 3), np.uint8)}, ValueError, "labels on the image's grid"),
        ({"coalitions": np.ones((1, 2), np.uint8)}, TypeError, "coalitions of dtype bool, got uint8"),
        ({"coalitions": np.ones(2, bool)}, ValueError, "coalitions with 2 axes"),
        ({"fill_values": np.zeros((1, 3), np.float32)}, ValueError, "fill_values .C, num_layers . 1. or"),
        ({"fill_values": np.zeros((1, 2), np.int32)}, TypeError, "fill_values of dtype float32"),
        ({"image": np.zeros((1, 2, 3, 4), np.float64)}, TypeError, "image of dtype float32, got float64"),
        ({"out": np.zeros((2, 1, 2, 3, 4), np.float32)}, ValueError, "expected out of"),
    ],
)
def test_wrong_arguments_are_named(change: dict, error: type[Exception], text: str) -> None:
    call = {
        "image": np.zeros((1, 2, 3, 4), np.float32),
        "labels": np.zeros((2, 3, 4), np.uint8),
        "coalitions": np.ones((1, 2), bool),
        "fill_values": np.zeros((1, 2), np.float32),
    } | change
    with pytest.raises(error, match=text):
        ops.layer_compose(call.pop("image"), call.pop("labels"), call.pop("coalitions"), **call)


@pytest.mark.cpu_only  # what is moved to a device overlaps nothing
def test_out_may_not_be_the_image() -> None:
    image = np.zeros((1, 1, 2, 3, 4), np.float32)
    labels = np.zeros((2, 3, 4), np.uint8)
    with pytest.raises(ValueError, match="share no memory with image"):
        ops.layer_compose(image[0], labels, np.ones((1, 2), bool), fill_values=np.zeros((1, 2)), out=image)
