"""The permutation test of many columns gives the p of the one that gathers rows, and its own by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from layer_fast.quantify.draws import Draws
from layer_fast.quantify.inference import permutation_p
from layer_fast.quantify.permuted import permutation_p_of_many


@pytest.mark.parametrize("seed", range(6))
def test_p_is_that_of_the_gathering_test(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.gamma(1.0, 10.0 ** rng.integers(-4, 4), (int(rng.integers(12, 50)), 30)) + 10.0 ** rng.integers(0, 6)
    n1 = len(x) // 2
    x[:n1, :10] *= 1.3
    x[:, 10:14] = np.round(x[:, 10:14] - x[:, 10:14].min())  # ties
    x[:, 14] = 3.0  # no spread
    x[:n1, 15], x[n1:, 15] = 2.0, 1.0  # separated without spread
    for column in range(16, 26):
        x[rng.random(len(x)) < 0.04 * (column - 15), column] = np.nan
    x[4:n1, 27] = np.nan  # too few cases
    x[:, 28] = np.nan
    with np.errstate(invalid="ignore"):  # infinity less infinity, which it then leaves out
        a = permutation_p(x[:n1], x[n1:], Draws(seed, "p"), replicates=499)
    b = permutation_p_of_many(x[:n1], x[n1:], Draws(seed, "p"), replicates=499)
    np.testing.assert_array_equal(a, b)
    assert np.isnan(b[[27, 28]]).all() and np.isfinite(b[:16]).all() and b[14] == 1.0


def test_p_is_near_that_of_every_permutation() -> None:
    """5 against 5: all 252 ways to deal the labels, Welch's t by SciPy."""
    x = np.random.default_rng(1).normal(0, 1, (10, 1))
    x[:5] += 1.0
    deals = [list(d) for d in itertools.combinations(range(10), 5)]
    rest = [[i for i in range(10) if i not in d] for d in deals]
    pairs = zip(deals, rest, strict=True)
    t = np.array([stats.ttest_ind(x[d, 0], x[r, 0], equal_var=False).statistic for d, r in pairs])
    exact = (t >= t[0] - 1e-12).mean()
    found = permutation_p_of_many(x[:5], x[5:], Draws(0, "p"), replicates=9999)[0]
    assert abs(found - exact) < 4 * np.sqrt(exact * (1 - exact) / 9999)
