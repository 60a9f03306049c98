"""One gate of the claim rule as data: what was found, what was asked, whether it holds.

A gate of `ELSEWHERE` is made by a module of its own and handed to `rule.decide`; where its numbers are not in the
tables it stays "not checked", which is said with the claim.
"""

from __future__ import annotations

from dataclasses import dataclass

CLAIM_METHOD = "layer_shapley"  # the method whose cells may name a driver
NOT_CHECKED = "not checked: the tables do not hold what it needs"
# name -> what is asked
ELSEWHERE = {
    "second_fill": "the same layer under a second fill that removes content",
    "geometry_and_confounders": "not explained by layer thickness, mask alone, age, body mass index, site or scanner",
    "mask_sensitivity": "the same layer under perturbed masks",
}


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition: what was found, what was asked, whether it holds (None: not checked)."""

    name: str
    value: float | str | None
    threshold: str
    passed: bool | None
    reason: str


def unchecked(name: str) -> Gate:
    return Gate(name, None, ELSEWHERE[name], None, NOT_CHECKED)
