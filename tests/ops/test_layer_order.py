"""Quantiles, top share and histogram of layer_reduce against the oracle."""

from __future__ import annotations

import math

import numpy as np
import pytest

import oracle_layers as oracle
import tolerances
from layer_fast import ops
from layered_maps import at_sample, layered, signed_map
from process_limits import raw


@pytest.mark.parametrize("shape", [(2, 40, 50), (4, 128, 160)])  # below and above the counting threshold
def test_quantiles_and_top_share_are_exact(shape: tuple[int, int, int], threads: int) -> None:
    labels, values = layered(shape, 2), np.abs(signed_map(shape, 7))
    values[values < np.median(values)] = 0.0  # many ties
    asked = (0.0, 0.1, 0.5, 0.75, 0.95, 0.999, 1.0)
    moments = ops.layer_reduce(values, labels, num_layers=3, quantiles=asked, top_fraction=0.05, threads=threads)
    assert moments.quantiles is not None and moments.top_share is not None
    for layer in range(3):
        x = values[labels == layer]
        np.testing.assert_array_equal(moments.quantiles[0, layer], np.quantile(x.astype(np.float64), asked))
        np.testing.assert_allclose(moments.top_share[0, layer], oracle.top_share(x, 0.05), rtol=tolerances.SUM_RELATIVE)
    assert np.isnan(moments.quantiles[0, 3]).all() and math.isnan(moments.top_share[0, 3])


@pytest.mark.not_emulated
@pytest.mark.parametrize("kind", ["normal", "zeros", "wide", "steps", "holes"])
def test_quantiles_of_more_values_than_are_collected(kind: str) -> None:
    shape = (13, 101, 173)
    rng = np.random.default_rng(12)
    labels = layered(shape, 6) if kind != "holes" else rng.integers(0, 7, shape, dtype=np.uint8)
    values = rng.standard_normal(shape, dtype=np.float32)
    if kind == "zeros":
        values = np.maximum(values, 0)
    elif kind == "wide":
        values *= (10.0 ** rng.integers(-25, 25, shape)).astype(np.float32)
    elif kind == "steps":
        values = np.round(3 * values)
    elif kind == "holes":
        values[rng.random(shape) < 0.2] = rng.choice([np.nan, np.inf, -np.inf])
        values[0, :5] = -np.inf
    asked = (0.0, 0.01, 0.5, 0.95, 0.951, 1.0)
    results = [ops.layer_reduce(values, labels, quantiles=asked, top_fraction=0.05, threads=n) for n in (1, 2, 3)]
    assert len({raw(r) for r in results}) == 1
    moments = results[0]
    assert moments.quantiles is not None and moments.top_share is not None
    for layer in range(7):
        x = values[(labels == layer) & np.isfinite(values)]
        np.testing.assert_array_equal(moments.quantiles[0, layer], np.quantile(x.astype(np.float64), asked))
        share, total = oracle.top_share(x, 0.05), math.fsum(x)
        bound = tolerances.SUM_RELATIVE * (abs(share) + 1) * math.fsum(abs(x)) / abs(total)
        assert abs(moments.top_share[0, layer] - share) <= bound


@pytest.mark.not_emulated
@pytest.mark.parametrize("kind", ["too_high", "too_low", "two_minima", "zeros_below"])
def test_quantiles_where_the_sample_misleads(kind: str, threads: int) -> None:
    """The sample says where the ranks lie; where it is wrong the search goes on outside, to the last float."""
    shape, sample = (50, 100, 200), 1 << 16  # kSample in cpp/ops/order_search.cpp
    rng = np.random.default_rng(3)
    seen = rng.uniform(1, 2, sample).astype(np.float32)
    values = np.full(shape, -1, np.float32)
    if kind == "too_low":
        values, seen = -values, -seen
    elif kind == "zeros_below":  # many tiny negative values and zeros of both signs under a bracket that ends at 0
        values = (rng.integers(-1, 1, shape) * np.float32(1e-45)).astype(np.float32)
        values[:, ::3] = -0.0
        seen = rng.uniform(-1e-45, 1, sample).astype(np.float32)
    values = at_sample(values, sample, seen)
    if kind == "two_minima":
        free = np.flatnonzero(values == -1)
        values.flat[free[[5, 900]]] = -2, np.nextafter(np.float32(-2), np.float32(-3))
    asked = (0.0, 0.5, 0.97)
    moments = ops.layer_reduce(values, np.zeros(shape, np.uint8), num_layers=0, quantiles=asked, threads=threads)
    assert moments.quantiles is not None
    np.testing.assert_array_equal(moments.quantiles[0, 0], np.quantile(values.astype(np.float64), asked))


def test_quantiles_of_negative_values_and_minus_zero() -> None:
    values = np.array([-3.5, -0.0, 0.0, 2.0, -1e-30, 7.0, -3.5, 1.0], np.float32).reshape(2, 2, 2)
    moments = ops.layer_reduce(values, np.zeros((2, 2, 2), np.uint8), quantiles=(0.0, 0.25, 0.5, 1.0))
    assert moments.quantiles is not None
    np.testing.assert_array_equal(moments.quantiles[0, 0], np.quantile(values.astype(np.float64), (0, 0.25, 0.5, 1)))


def test_top_share_of_one_voxel_and_of_all() -> None:
    values = np.arange(1, 11, dtype=np.float32).reshape(1, 1, 10)
    labels = np.zeros((1, 1, 10), np.uint8)
    one = ops.layer_reduce(values, labels, top_fraction=1e-9).top_share
    whole = ops.layer_reduce(values, labels, top_fraction=1.0).top_share
    assert one is not None and whole is not None
    assert one[0, 0] == 10 / 55 and whole[0, 0] == 1.0


def test_histogram_counts_every_finite_voxel() -> None:
    labels, values = layered((3, 50, 60), 6), signed_map((3, 50, 60), 8)
    values[0, 0, :3] = (np.nan, 1.5, -1.0)  # a hole and the two outer edges
    moments = ops.layer_reduce(values, labels, histogram=(-1.0, 1.5, 20))
    assert moments.histogram is not None and moments.underflow is not None and moments.overflow is not None
    for layer in range(7):
        counts, under, over = oracle.histogram(values[(labels == layer) & np.isfinite(values)], -1.0, 1.5, 20)
        np.testing.assert_array_equal(moments.histogram[0, layer], counts)
        assert (moments.underflow[0, layer], moments.overflow[0, layer]) == (under, over)
    np.testing.assert_array_equal(moments.histogram.sum(-1) + moments.underflow + moments.overflow, moments.count)
