"""Shapley, ablation and interactions against games with known answers and a brute force over orders."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

import tolerances
from layer_fast.quantify import ablation, interactions, shapley

SUM = tolerances.FLOAT64_SUM


def by_orders(v: np.ndarray, p: int) -> np.ndarray:
    """The definition: mean marginal contribution over all p! orders of the players."""
    phi, orders = np.zeros(p), list(permutations(range(p)))
    for order in orders:
        s = 0
        for k in order:
            phi[k] += v[s | 1 << k] - v[s]
            s |= 1 << k
    return phi / len(orders)


def members(s: int, p: int) -> list[int]:
    return [k for k in range(p) if s >> k & 1]


@pytest.mark.parametrize("p", [1, 2, 3, 4, 5])
def test_equals_the_mean_over_all_orders(p: int) -> None:
    v = np.random.default_rng(p).normal(size=1 << p)
    np.testing.assert_allclose(shapley(v), by_orders(v, p), rtol=0, atol=SUM)


def test_additive_game_of_seven_players() -> None:
    weight = np.array([0.5, -1.0, 2.0, 0.0, 3.0, -0.25, 7.0])
    v = np.array([weight[members(s, 7)].sum() for s in range(128)])
    np.testing.assert_allclose(shapley(v), weight, atol=SUM)
    np.testing.assert_allclose(ablation(v), weight, atol=SUM)
    pair = interactions(v)
    assert np.isnan(np.diag(pair)).all()
    np.testing.assert_allclose(pair[~np.eye(7, dtype=bool)], 0.0, atol=SUM)


def test_interaction_of_two_players_is_split_evenly() -> None:
    v = np.array([float(s >> 1 & 1 and s >> 5 & 1) for s in range(128)])
    expected = np.zeros(7)
    expected[[1, 5]] = 0.5
    np.testing.assert_allclose(shapley(v), expected, atol=SUM)
    pair = interactions(v)
    assert pair[1, 5] == pytest.approx(1.0, abs=SUM)
    assert pair[5, 1] == pair[1, 5]
    assert pair[0, 1] == pytest.approx(0.0, abs=SUM)
    assert ablation(v)[[1, 5]].tolist() == [1.0, 1.0]  # ablation counts the pair twice: it is not additive


def test_sums_to_all_minus_none_and_batches_have_the_same_bits() -> None:
    v = np.random.default_rng(7).normal(size=(4, 3, 128)) * 10
    phi = shapley(v)
    np.testing.assert_allclose(phi.sum(-1), v[..., -1] - v[..., 0], atol=tolerances.SHAPLEY_EFFICIENCY)
    assert np.array_equal(phi[2, 1], shapley(v[2, 1]))
    assert np.array_equal(phi, shapley(np.asfortranarray(v)))


def test_a_player_that_changes_nothing_gets_zero() -> None:
    v = np.random.default_rng(1).normal(size=128)
    twice = np.array([v[s & ~(1 << 3)] for s in range(128)])
    assert shapley(twice)[3] == 0.0
    assert ablation(twice)[3] == 0.0


def test_ablation_of_groups_reads_only_what_it_needs() -> None:
    v = np.full(128, np.nan)
    v[127], v[127 & ~0b0111110] = 5.0, 2.0
    assert ablation(v, [(1, 2, 3, 4, 5)]).tolist() == [3.0]
    assert np.isnan(shapley(v)).all()


@pytest.mark.parametrize("size", [0, 1, 3, 127])
def test_refuses_other_lengths(size: int) -> None:
    with pytest.raises(ValueError, match=r"expected 2\*\*p coalition values"):
        shapley(np.zeros(size))
