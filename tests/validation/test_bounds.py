"""Exact limits against the quantiles of the beta distribution (Clopper and Pearson 1934)."""

from __future__ import annotations

import pytest
from scipy.stats import beta

from layer_fast.validation.bounds import clustered, share


@pytest.mark.parametrize(("hits", "of"), [(0, 400), (20, 400), (199, 200), (60, 60), (1, 3)])
def test_limits_are_exact(hits: int, of: int) -> None:
    found = share(hits, of)
    assert found["lower"] == pytest.approx(0.0 if hits == 0 else beta.ppf(0.05, hits, of - hits + 1), abs=1e-9)
    assert found["upper"] == pytest.approx(1.0 if hits == of else beta.ppf(0.95, hits + 1, of - hits), abs=1e-9)


def test_nothing_of_nothing_has_no_share() -> None:
    assert share(0, 0)["share"] is None
    with pytest.raises(ValueError, match="expected 0 <= hits <= 3"):
        share(4, 3)


def test_models_are_counted_where_cohorts_share_them() -> None:
    found = clustered([0] * 19 + [20], 20)
    assert (found["models_with_any"]["hits"], found["rate"]) == (1, pytest.approx(0.05))
    assert found["upper"] > share(20, 400)["upper"], "one bad network of twenty says less than twenty bad cohorts"
    assert clustered([0] * 20, 20)["upper"] is None
