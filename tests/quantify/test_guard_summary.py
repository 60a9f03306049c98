"""guards.json: one entry per guard and cell, fired where most scans carry the flag; confounding in claims.json."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from fake_tables import KEY, draw_phi, map_tables, shapley_tables
from layer_fast.quantify import guard_summary, guards_json, summary
from layer_fast.types import REGIONS
from layer_fast.validation.guard_tables import cohort


def made(subjects: int = 24) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    phi, case = draw_phi(np.random.default_rng(0), subjects=subjects, scans=1)
    layers, scans = shapley_tables(phi, case)
    return scans, summary([*layers, *map_tables(np.abs(phi), case)], scans, replicates=99)


def rows(scans: list[dict[str, Any]], leaky: float) -> list[dict[str, Any]]:
    """Deep fascia leaky in a share of the scans, muscle in none."""
    out = []
    for i, scan in enumerate(scans):
        for label, name in enumerate(REGIONS):
            flagged = label == 5 and i < leaky * len(scans)
            out.append({
                "scan_id": scan["scan_id"], **KEY, "fill": "", "setup": "bmode", "method": "gradcam", "variant": "",
                "region": name, "label_value": label, "leakage_in": 0.8 if flagged else 0.1 * label / 6,
                "border_share": 0.5, "null_p": None, "null_n": None, "flags": "leaky;border_only" if flagged else "",
            })  # fmt: skip
    return out


@pytest.mark.parametrize(("share", "fired"), [(0.4, False), (0.6, True)])
def test_leakage_fires_where_most_scans_leak(share: float, fired: bool) -> None:
    scans, claims = made()
    found = guard_summary(claims, rows(scans, share))["guards"]
    leak = next(e for e in found if e["name"] == "leakage")
    assert (leak["method"], leak["fired"]) == ("gradcam", fired)
    assert ("deep fascial membrane" in leak["sentence"]) is fired
    assert leak["value"]["muscle"] == pytest.approx(0.1)
    border = next(e for e in found if e["name"] == "border")
    assert border["fired"] is False and border["value"]["deep_fascial_membrane"] == pytest.approx(0.5)
    assert ("without a core, so that nothing tells it from its neighbours: deep fascial" in border["sentence"]) is fired


@pytest.mark.parametrize(("draws", "high", "fired"), [(39, 0.6, False), (39, 0.4, True), (11, 0.6, None)])
def test_null_fires_where_no_layer_stands_out(draws: int, high: float, fired: bool | None) -> None:
    scans, claims = made()
    table = rows(scans, 0.0)
    for i, row in enumerate(table):
        stands_out = row["label_value"] == 4 and i // 7 < high * len(scans)
        row |= {"variant": "null:depth", "null_p": 0.025 if stands_out else 0.6, "null_n": draws, "leakage_in": None,
                "flags": "" if stands_out else "like_elsewhere"}  # fmt: skip
    entry = next(e for e in guard_summary(claims, table)["guards"] if e["name"] == "null_depth")
    assert entry["fired"] is fired
    assert ("deep fat" in entry["sentence"]) is (fired is False)


def test_gates_and_low_information_are_entries_too() -> None:
    _, claims = made()
    found = guard_summary(claims)["guards"]
    assert [(e["method"], e["name"], e["fired"]) for e in found] == [
        ("gradcam", "low_information", False),
        ("layer_shapley", "geometry_and_confounders", None), ("layer_shapley", "mask_sensitivity", None),
        ("layer_shapley", "low_information", False),
    ]  # fmt: skip
    claims["cells"][0]["flags"] = {"cam_all_zero": 3}
    zero = guard_summary(claims)["guards"][0]
    assert zero["fired"] is True and "cam_all_zero in 12 %" in zero["sentence"]


def test_unresolved_layers_fire() -> None:
    _, claims = made()
    region = next(r for r in claims["cells"][1]["regions"] if r["region"] == "dermis")
    region["unresolved"] = 0.6
    entry = next(e for e in guard_summary(claims)["guards"]
                 if e["method"] == "layer_shapley" and e["name"] == "low_information")  # fmt: skip
    assert entry["fired"] is True and "dermis thinner" in entry["sentence"]


def test_randomisation_meets_its_cell_alone() -> None:
    _, claims = made()
    row = {"setup": "bmode", "model": "toy", "member": "0", "method": "gradcam", "scans": 4, "statistic": 0.8,
           "threshold": 0.5, "fired": True}  # fmt: skip
    found = [e for e in guard_summary(claims, None, [row])["guards"] if e["name"] == "randomisation"]
    assert [(e["method"], e["fired"], e["value"]) for e in found] == [("gradcam", True, 0.8)]
    assert "hardly changes" in found[0]["sentence"]


def test_bytes_are_json_without_nan() -> None:
    scans, claims = made()
    data = guards_json(guard_summary(claims, rows(scans, 0.5)))
    assert json.loads(data)["schema_version"] == 1
    assert data == guards_json(guard_summary(claims, rows(scans, 0.5)))


def test_claims_hold_every_set_of_confounders() -> None:
    out = summary(*cohort("bmi", 40, 2.5, 3), replicates=99)
    found = out["cells"][0]["confounding"]
    assert [s["name"] for s in found["sets"]] == [
        "thickness", "size", "mask_only", "swe_holes", "person", "acquisition", "everything",
    ]  # fmt: skip
    person = next(s for s in found["sets"] if s["name"] == "person")
    assert person["columns"] == ["age", "bmi", "sex=m"]
    assert person["auc"]["auc"] > 0.9 and person["lead_low"] < person["lead"] < person["lead_high"]
    assert found["adjusted"]["adjusted_for"] == ["thickness", "depth", "bmi"]


@pytest.mark.parametrize(("draws", "p", "fired"), [(39, 0.2, False), (39, 0.3, True), (11, 0.2, None)])
def test_null_of_other_masks_fires_where_no_layer_has_a_low_median(draws: int, p: float, fired: bool | None) -> None:
    """A single scan seldom reaches 0.05, for people are built alike: the median over scans counts."""
    scans, claims = made()
    table = rows(scans, 0.0)
    for i, row in enumerate(table):
        own = (p if i // 7 % 3 else 0.1) if row["label_value"] == 4 else 0.5  # of 24 scans 16 have p
        row |= {"variant": "null:other_masks", "null_p": own, "null_n": draws, "leakage_in": None,
                "flags": "like_elsewhere"}  # fmt: skip
    entry = next(e for e in guard_summary(claims, table)["guards"] if e["name"] == "null_other_masks")
    assert entry["fired"] is fired
    if fired is False:
        assert "deep fat (median p" in entry["sentence"]
