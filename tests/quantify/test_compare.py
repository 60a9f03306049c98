"""Families of definitions, and what compare says of a cohort with a known answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fake_tables
from layer_fast.quantify import FAMILIES, HIERARCHY_PRESETS, REDUCTIONS, claims_json, compare, make_reduction, summary
from layer_fast.quantify.stored import evaluate, stored_maps
from stored_maps_tables import random_case, tables

PROMISED = [f for f in FAMILIES if len(f.members) > 1 and f.alike != "not promised"]


@pytest.mark.parametrize("family", PROMISED, ids=lambda f: f.name)
def test_members_of_a_family_rank_the_layers_of_a_scan_alike(family: Any) -> None:
    compared = 0
    for seed in range(8):
        maps, masks = random_case(seed, rectified=family.alike == "maps >= 0")
        found = tables([s + 0.01 for s in maps], masks)
        (cell,) = stored_maps(found["layers"])
        values = {name: evaluate(cell, REDUCTIONS[name]).value[:, 1:7] for name in family.members}
        first = values[family.members[0]]
        for x in values.values():
            for a, b in zip(first, x, strict=True):
                there = ~np.isnan(a) & ~np.isnan(b)
                clear = np.diff(np.sort(a[there])).min(initial=1.0) > 1e-9 * np.abs(a[there]).max(initial=1.0)
                if clear and there.sum() > 2:
                    compared += 1
                    assert (np.argsort(a[there]) == np.argsort(b[there])).all()
    assert compared > 50


def test_families_that_are_kept_apart_do_not_always_rank_alike() -> None:
    apart = 0
    for seed in range(4):
        maps, masks = random_case(seed, rectified=True)
        (cell,) = stored_maps(tables(maps, masks)["layers"])
        a, b, c = (evaluate(cell, REDUCTIONS[n]).value[:, [1, 2, 6]] for n in ("mean", "share_of_all", "std"))
        apart += int((np.argsort(a) != np.argsort(b)).any()) + int((np.argsort(a) != np.argsort(c)).any())
    assert apart >= 6


def test_every_preset_has_a_family_and_one_only() -> None:
    members = [name for family in FAMILIES for name in family.members]
    assert sorted(members) == sorted([*REDUCTIONS, "layer_ablation", "layer_shapley"])


def cohort() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Maps that are hottest in the thin dermis, Shapley values whose contrast is deep fat's."""
    rng = np.random.default_rng(1)
    phi, is_case = fake_tables.draw_phi(rng, subjects=40, effect={4: 2.0})
    layers, scans = fake_tables.shapley_tables(phi, is_case)
    means = np.array([0.2, 3.0, 0.5, 0.6, 0.7, 0.8, 1.0]) * rng.uniform(0.9, 1.1, (40, 2, 7))
    means[is_case, :, 2] *= 1.5
    return layers + fake_tables.map_tables(means, is_case), scans


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    layers, scans = cohort()
    return compare(layers, scans, replicates=499)


def test_conclusions_that_change_are_shown_by_family(found: dict[str, Any]) -> None:
    top = next(s for s in found["setups"] if s["question"] == "top_mean")
    answers = {a["answer"]: a["families"] for a in top["answers"]}
    assert top["changes"] and "gradcam: density" in answers["dermis"] and "gradcam: mass" in answers["muscle"]
    contrast = next(s for s in found["setups"] if s["question"] == "top_contrast")
    answers = {a["answer"]: a["families"] for a in contrast["answers"]}
    assert answers["deep_fat"] == ["coalitions: removal"] and "gradcam: density" in answers["superficial_fat"]
    assert contrast["n_families"] == sum(map(len, answers.values())) < len(REDUCTIONS)


def test_numbers_are_those_of_the_summary(found: dict[str, Any]) -> None:
    layers, scans = cohort()
    said = summary(layers, scans, replicates=499)
    for cell in found["cells"]:
        other = next(c for c in said["cells"] if c["method"] == cell["method"])
        for row in cell["definitions"]:
            regions = {r["region"]: r for r in other["regions"] if r["region_kind"] == "layer"}
            means = {n: r["means"].get(row["definition"], {}).get("estimate") for n, r in regions.items()}
            if None not in means.values():
                assert row["top_mean"] == {
                    "region": max(means, key=means.get),
                    "estimate": pytest.approx(max(means.values())),
                }
    shapley = next(c for c in found["cells"] if c["method"] == "layer_shapley")["definitions"][0]
    other = next(c for c in said["cells"] if c["method"] == "layer_shapley")["regions"]
    assert shapley["top_contrast"]["estimate"] == pytest.approx(other[4]["contrast"]["estimate"])
    assert shapley["top_contrast"]["p_holm"] < 0.05


def test_what_cannot_be_compared_says_why(found: dict[str, Any]) -> None:
    cell = next(c for c in found["cells"] if c["method"] == "gradcam")
    why = {one["definition"]: one["why"] for one in cell["not_compared"]}
    assert "no histograms" in why["median"] and "slice along z" in why["mean_minmax_slice_z"]
    compared = {row["definition"] for row in cell["definitions"]}
    assert compared | set(why) == {*REDUCTIONS, *HIERARCHY_PRESETS} and not compared & set(why)
    assert "needs the column 'side'" in why["mean_minmax_volume_by_side"]


def test_a_definition_of_ones_own_is_a_family_of_its_own() -> None:
    layers, scans = cohort()
    mine = make_reduction({"name": "mine", "statistic": "std", "normalise": {"kind": "max"}})
    cell = compare(layers, scans, definitions=[mine], replicates=199)["cells"][0]
    assert [row["family"] for row in cell["definitions"]] == ["mine"]


def test_same_tables_same_bytes(found: dict[str, Any]) -> None:
    layers, scans = cohort()
    assert claims_json(compare(layers, scans, replicates=499)) == claims_json(found)
