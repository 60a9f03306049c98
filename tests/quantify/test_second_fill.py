"""The gate second_fill and how several fills become one answer, on made-up cohorts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fake_tables import draw_phi, shapley_tables
from layer_fast.quantify import summary
from layer_fast.report.terminal import layer_table_text

PLANTED = {4: 2.0}


def cohort(effects: dict[str, dict[int, float]], seed: int = 1, subjects: int = 40) -> dict[str, Any]:
    """Summary of one model's cells, one per fill -> the effect it sees; all fills see the same scans."""
    layers: list[dict[str, Any]] = []
    scans: list[dict[str, Any]] = []
    for i, (fill, effect) in enumerate(effects.items()):
        phi, case = draw_phi(np.random.default_rng([seed, i]), subjects=subjects, effect=effect)
        rows, found = shapley_tables(phi, case)
        scans = scans or found
        layers += [{**row, "fill": fill} for row in rows]
    margin = {s["scan_id"]: s["margin_bmode"] for s in scans}
    return summary([{**row, "margin": margin[row["scan_id"]]} for row in layers], scans, replicates=399)


def claims(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {cell["fill"]: cell["claim"] for cell in result["cells"]}


def gate(claim: dict[str, Any]) -> dict[str, Any]:
    return next(g for g in claim["gates"] if g["name"] == "second_fill")


def test_two_fills_that_agree_hold_the_gate_for_each_other() -> None:
    found = claims(cohort({"cohort_profile": PLANTED, "constant": PLANTED}))
    for claim in found.values():
        assert (claim["driver"], gate(claim)["passed"]) == ("deep_fat", True)
    assert gate(found["cohort_profile"])["value"].startswith("constant: deep_fat, p = 0.0025")
    assert gate(found["cohort_profile"])["reason"] == "the same layer under another fill that removes content"


def test_one_fill_alone_is_not_checked() -> None:
    (claim,) = claims(cohort({"cohort_profile": PLANTED})).values()
    assert (claim["driver"], gate(claim)["passed"]) == ("deep_fat", None)
    assert gate(claim)["reason"].startswith("not checked")


def test_a_diagnostic_is_no_second_fill_and_claims_nothing() -> None:
    found = claims(cohort({"cohort_profile": PLANTED, "layer_mean": PLANTED, "shuffle": {1: 4.0}}))
    assert gate(found["cohort_profile"])["passed"] is None
    for fill in ("layer_mean", "shuffle"):
        assert (found[fill]["verdict"], found[fill]["driver"]) == ("descriptive ranking only", None)
        assert f"under the fill {fill}, which keeps some of a layer's content, is a diagnostic" in found[fill]["text"]


def test_a_fill_that_shows_nothing_does_not_agree() -> None:
    found = claims(cohort({"cohort_profile": PLANTED, "constant": {}}, seed=3))["cohort_profile"]
    assert (found["driver"], gate(found)["passed"]) == (None, False)
    assert "no other fill shows this layer's contrast (constant:" in found["text"]


def test_the_same_layer_on_top_by_chance_does_not_agree() -> None:
    found = claims(cohort({"cohort_profile": PLANTED, "constant": {4: 0.1}}, seed=9))["cohort_profile"]
    value = gate(found)["value"]
    assert value.startswith("constant: deep_fat, p = 0.") and float(value.rsplit(" ", 1)[1]) > 0.05
    assert (found["driver"], gate(found)["passed"]) == (None, False)


def test_one_fill_that_names_another_layer_outweighs_one_that_agrees() -> None:
    result = cohort({"cohort_profile": PLANTED, "constant": PLANTED, "blur": {6: 2.0}})
    found = claims(result)
    assert all(gate(found[fill])["passed"] is False for fill in found)
    assert "another fill names another layer (blur: muscle" in found["cohort_profile"]["text"]
    assert {claim["driver"] for claim in found.values()} == {None}


def test_a_weak_fill_beside_one_that_agrees_does_not_stand_against_it() -> None:
    found = claims(cohort({"cohort_profile": PLANTED, "constant": PLANTED, "blur": {}}, seed=3))
    assert gate(found["cohort_profile"])["passed"] is True


@pytest.mark.parametrize("order", ["constant cohort_profile shuffle", "shuffle cohort_profile constant"])
def test_fills_are_one_answer_with_the_primary_first(order: str) -> None:
    result = cohort(dict.fromkeys(order.split(), PLANTED))
    (answer,) = result["answers"]
    assert answer["fill"] == "cohort_profile"
    assert [other["fill"] for other in answer["other_fills"]] == ["constant", "shuffle"]
    assert [other["removes_content"] for other in answer["other_fills"]] == [True, False]
    text = layer_table_text(result)
    assert text.count("Shapley values of whole layers") == 1 and text.count("bmode: Candidate driver") == 1
    assert "  fill constant: the same layer; Candidate driver: deep fat" in text
    assert "  diagnostic fill shuffle: the same layer; Largest class contrast" in text
    assert len(text.splitlines()[1].split()) == 2  # region, bmode
