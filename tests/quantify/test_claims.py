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
    assert all(g["reason"] .startswith("not checked") for g in found["gates"] if g["passed"] is None)


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
    for row in layers:
        row["margin"] = 0.0
    chance = claim(layers, scans)
    assert (chance["driver"], gate(chance, "auc")["passed"]) == (None, False)
    for row in layers:
        row["margin"] = None
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


def gone(phi: np.ndarray, layer: int, keep: np.ndarray) -> np.ndarray:
    """The same cohort, the layer only in the subjects of the mask `keep`."""
    out = phi.copy()
    out[~keep, :, layer] = np.nan
    return out


@pytest.mark.parametrize("kept_cases", [2, 4])
def test_a_claim_does_not_rest_on_the_few_cases_with_the_layer(kept_cases: int) -> None:
    phi, case = planted(1, {3: 6.0})
    phi[:, :, 6] += np.where(case, 1.0, -1.0)[:, None]  # the model separates the classes by something else, too
    keep = ~case | (np.cumsum(case) <= kept_cases)
    found = claim(*shapley_tables(gone(phi, 3, keep), case))
    assert (found["top"], found["driver"]) == ("superficial_fascial_membrane", None)
    assert gate(found, "subjects")["passed"] is True
    assert (gate(found, "layer_present")["passed"], gate(found, "layer_present")["value"]) == (False, 20.0 + kept_cases)
    assert f"too few subjects: {20 + kept_cases} ({kept_cases} case, 20 control)" in found["text"]


def test_a_layer_in_enough_of_the_subjects_can_be_claimed() -> None:
    phi, case = planted(1, {3: 4.0})
    found = claim(*shapley_tables(gone(phi, 3, np.arange(40) < 30), case))
    assert (found["driver"], gate(found, "layer_present")["value"]) == ("superficial_fascial_membrane", 30.0)
    few = claim(*shapley_tables(gone(phi, 3, np.arange(40) < 18), case))
    assert (few["driver"], gate(few, "layer_present")["passed"]) == (None, False)


def test_a_layer_in_no_scan_is_no_rival_and_not_tied() -> None:
    phi, case = planted(1, {6: 2.0})
    found = claim(*shapley_tables(gone(phi, 1, np.zeros(40, bool)), case))
    assert (found["driver"], found["tied"]) == ("muscle", [])
    assert "dermis" not in [row["region"] for row in found["versus"]]
    assert gate(found, "beats_every_other")["reason"].endswith("in no scan of the two classes: dermis")
    phi, case = planted(0, {4: 2.0, 6: 2.0})
    assert claim(*shapley_tables(gone(phi, 1, np.zeros(40, bool)), case))["tied"] == ["deep_fat", "muscle"]


def test_a_layer_in_some_scans_counts_as_zero_elsewhere() -> None:
    """A player that changes nothing has the value 0; before, the gap had a value in three cases only."""
    phi, case = planted(1, {6: 2.0})
    keep = np.arange(40) < 6
    holes = gone(phi, 1, keep)
    found = claim(*shapley_tables(holes, case))
    assert (found["driver"], found["tied"]) == ("muscle", [])
    zero = np.nan_to_num(holes).mean(axis=1)
    gap = zero[:, 6] - zero[:, 1]
    row = next(row for row in found["versus"] if row["region"] == "dermis")
    assert row["estimate"] == pytest.approx(gap[case].mean() - gap[~case].mean())


def test_the_only_region_beats_nothing() -> None:
    phi, case = planted(1, {6: 2.0})
    phi[:, :, :6] = np.nan
    found = claim(*shapley_tables(phi, case))
    assert found["driver"] is None
    assert "nothing else is in the scans" in gate(found, "beats_every_other")["reason"]


def test_a_noisy_top_layer_is_not_said_to_be_the_whole_story() -> None:
    """Dermis has the largest contrast by noise; muscle's smaller one is clear. The text must not deny it."""
    phi, case = planted(1, {6: 1.0}, 40, spread=0.05)
    wild = np.random.default_rng(0).normal(0, 30.0, (40, 1))
    phi[:, :, 1] += wild + np.where(case, 5.0 - wild[case].mean(), -wild[~case].mean())[:, None]
    found = claim(*shapley_tables(phi, case))
    assert (found["top"], found["driver"]) == ("dermis", None)
    assert "no layer's contrast" not in found["text"]
    reason = "dermis has the largest contrast, but not above 0 by Holm; above 0, with a smaller one: muscle"
    assert reason in found["text"]
    null = claim(*shapley_tables(*planted(1, {})))
    assert "no layer's contrast is above 0 by Holm" in null["text"]


def test_a_member_is_judged_by_its_own_margin() -> None:
    """Two members: one separates the classes, one does not; scans.parquet holds their mean, which does."""
    good, scans = shapley_tables(*planted(1, {6: 2.0}))
    chance = np.random.default_rng(4).normal(size=len(scans))
    own = {row["scan_id"]: value for row, value in zip(scans, chance, strict=True)}
    bad = [{**row, "member": "1", "margin": own[row["scan_id"]]} for row in good]
    first, second = summary(good + bad, scans, **QUICK)["cells"]
    assert (first["claim"]["driver"], gate(first["claim"], "auc")["passed"]) == ("muscle", True)
    assert (second["claim"]["driver"], gate(second["claim"], "auc")["passed"]) == (None, False)
    with pytest.raises(ValueError, match="'margin'"):
        summary([{k: v for k, v in row.items() if k != "margin"} for row in good], scans, **QUICK)
