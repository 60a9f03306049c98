"""The claim rule on made-up cohorts: silent on null cohorts, finds what is planted, says why where it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fake_tables import draw_phi, map_tables, shapley_tables
from layer_fast.quantify import summary

QUICK = {"replicates": 399}


def claim(layers: Any, scans: Any, **more: Any) -> dict[str, Any]:
    return summary(layers, scans, **{**QUICK, **more})["cells"][0]["claim"]


def gate(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(g for g in result["gates"] if g["name"] == name)


def planted(seed: int, effect: dict[int, float], subjects: int = 40, **more: float) -> tuple[np.ndarray, np.ndarray]:
    return draw_phi(np.random.default_rng(seed), subjects=subjects, effect=effect, **more)


@pytest.mark.parametrize("layer", [1, 3, 6])
def test_finds_the_planted_layer(layer: int) -> None:
    found = claim(*shapley_tables(*planted(layer, {layer: 2.0})))
    names = ("dermis", "superficial_fat", "superficial_fascial_membrane", "deep_fat", "deep_fascial_membrane", "muscle")
    assert (found["verdict"], found["driver"], found["tied"]) == ("candidate driver", names[layer - 1], [])
    unchecked = [g["name"] for g in found["gates"] if g["passed"] is None]
    assert unchecked == ["second_fill", "geometry_and_confounders", "mask_sensitivity"]
    assert all(g["reason"] == "not checked in this version" for g in found["gates"] if g["passed"] is None)


def test_null_cohorts_are_not_claimed_and_planted_ones_are() -> None:
    """Two nulls: classes alike; and a model that reads all layers alike, where a naive top layer always claims."""
    claims = {"alike": 0, "shared": 0, "planted": 0}
    for seed in range(40):
        effects = {"alike": {}, "shared": dict.fromkeys(range(7), 0.6), "planted": {4: 1.5}}
        for name, effect in effects.items():
            found = claim(*shapley_tables(*planted(1000 + seed, effect, 30, spread=0.3)), replicates=199)
            claims[name] += found["driver"] is not None
            if name == "planted" and found["driver"] is not None:
                assert found["driver"] == "deep_fat"
    assert claims["alike"] <= 1
    assert claims["shared"] <= 3
    assert claims["planted"] >= 36


def test_two_equal_layers_are_tied() -> None:
    found = claim(*shapley_tables(*planted(0, {4: 2.0, 6: 2.0})))
    assert found["driver"] is None
    assert found["tied"] == ["deep_fat", "muscle"]
    assert gate(found, "contrast")["passed"] is True
    assert gate(found, "beats_every_other")["passed"] is False
    assert "Cannot be told apart: deep fat, muscle" in found["text"]


def test_background_is_a_rival() -> None:
    found = claim(*shapley_tables(*planted(3, {0: 2.0, 6: 2.0})))
    assert (found["verdict"], found["tied"]) == ("no single driver", ["background", "muscle"])


@pytest.mark.parametrize(("exposure", "passed"), [("unseen", True), ("seen", False), ("unknown", False)])
def test_exposure_must_be_known_and_unseen(exposure: str, passed: bool) -> None:
    found = claim(*shapley_tables(*planted(1, {6: 2.0}), exposure=exposure))
    assert gate(found, "exposure")["passed"] is passed
    assert (found["driver"] == "muscle") is passed


def test_one_seen_scan_spoils_the_claim() -> None:
    layers, scans = shapley_tables(*planted(1, {6: 2.0}))
    for row in layers:
        if row["scan_id"] == "p003-1":
            row["exposure"] = "seen"
    found = claim(layers, scans)
    assert gate(found, "exposure")["value"] == "39 unseen, 1 seen, 0 unknown"
    assert found["driver"] is None


def test_one_scan_outside_the_models_domain_spoils_the_claim() -> None:
    layers, scans = shapley_tables(*planted(1, {6: 2.0}))
    assert claim(layers, scans)["driver"] == "muscle"
    scans[0]["status"] = "ok_degraded"
    found = claim(layers, scans)
    assert (found["driver"], gate(found, "domain")["passed"]) == (None, False)


def test_few_subjects_and_chance_models_claim_nothing() -> None:
    few = claim(*shapley_tables(*planted(1, {6: 4.0}, 18)))
    assert (few["driver"], gate(few, "subjects")["passed"]) == (None, False)
    layers, scans = shapley_tables(*planted(1, {6: 2.0}))
    for row in scans:
        row["margin_bmode"] = 0.0
    chance = claim(layers, scans)
    assert (chance["driver"], gate(chance, "auc")["passed"]) == (None, False)
    for row in scans:
        row["margin_bmode"] = None
    assert "no margin" in gate(claim(layers, scans), "auc")["reason"]


def test_a_layer_thinner_than_the_modality_resolves_is_no_driver() -> None:
    layers, scans = shapley_tables(*planted(1, {5: 2.0}))
    for row in layers:
        row["unresolved"] = row["region"] == "deep_fascial_membrane"
    found = claim(layers, scans)
    assert (found["top"], found["driver"]) == ("deep_fascial_membrane", None)
    assert gate(found, "resolved")["passed"] is False


def test_maps_rank_but_never_claim() -> None:
    phi, case = planted(1, {6: 2.0})
    _, scans = shapley_tables(phi, case)
    found = claim(map_tables(np.abs(phi) + 5 * case[:, None, None], case), scans)
    assert (found["verdict"], found["driver"], found["gates"]) == ("descriptive ranking only", None, [])
    assert found["text"].startswith("Largest class contrast: muscle (part_of_volume_mean)")
    assert "supports no claim" in found["text"]


def test_scans_of_one_subject_do_not_count_as_subjects() -> None:
    """Twenty copies of each scan change no number."""
    phi, case = planted(6, {4: 1.0}, 24)
    once = claim(*shapley_tables(phi[:, :1], case))
    many = claim(*shapley_tables(np.repeat(phi[:, :1], 20, axis=1), case))
    for a, b in zip(once["versus"], many["versus"], strict=True):
        assert a["estimate"] == pytest.approx(b["estimate"])
        assert a["p"] == b["p"]
