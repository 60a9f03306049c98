"""Named targets from stored logits, in closed form."""

from __future__ import annotations

import numpy as np
import pytest

import tolerances
from layer_fast.quantify.margins import target_of_logits

P = {"none": 0.2, "mild": 0.5, "severe": 0.3}
LOGITS = {name: np.array([np.log(p), np.log(p) + 700.0]) for name, p in P.items()}  # the second would overflow
LEVELS = ("none", "mild", "severe")


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("margin:severe-none", np.log(0.3 / 0.2)),
        ("margin:severe-rest", np.log(0.3 / 0.7)),
        ("probability:mild", 0.5),
        ("level", 0.5 + 2 * 0.3),
        ("margin:>=mild", np.log(0.8 / 0.2)),
        ("margin:>=severe", np.log(0.3 / 0.7)),
        ("probability:>=mild", 0.8),
    ],
)
def test_closed_forms(target: str, value: float) -> None:
    found = target_of_logits(LOGITS, target, levels=LEVELS)
    np.testing.assert_allclose(found, [value, value], rtol=0, atol=700 * tolerances.ROUNDING)


def test_a_logit_is_itself_and_names_may_hold_a_dash() -> None:
    np.testing.assert_array_equal(target_of_logits(LOGITS, "logit:mild"), LOGITS["mild"])
    dashed = {"low-back": np.array([1.0]), "no": np.array([0.25])}
    assert target_of_logits(dashed, "margin:low-back-no") == pytest.approx(0.75)


def test_the_order_of_levels_decides_and_not_that_of_the_classes() -> None:
    turned = dict(reversed(LOGITS.items()))
    np.testing.assert_allclose(target_of_logits(turned, "level", levels=LEVELS),
                               target_of_logits(LOGITS, "level", levels=LEVELS), atol=tolerances.ROUNDING)  # fmt: skip
    assert target_of_logits(LOGITS, "level", levels=LEVELS[::-1])[0] == pytest.approx(0.5 + 2 * 0.2)


@pytest.mark.parametrize(
    ("target", "levels", "message"),
    [
        ("margin:severe-bad", None, "two of the classes"), ("margin:mild-mild", None, "two of the classes"),
        ("logit:bad", None, "one of the classes"), ("odds:mild", None, "expected margin:A-B"),
        ("level", None, "expected levels"), ("level", ("none", "mild"), "expected levels"),
        ("margin:>=none", LEVELS, "above the lowest level"), ("margin:>=bad", LEVELS, "one of the classes"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused(target: str, levels: tuple[str, ...] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        target_of_logits(LOGITS, target, levels=levels)
