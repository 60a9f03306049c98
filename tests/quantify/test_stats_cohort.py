"""stats.json from tables: against claims.json, SciPy, and what must not change it."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

import tolerances
from fake_tables import Rows, draw_phi, map_tables, shapley_tables
from layer_fast.quantify import claims_json, cohort_statistics, summary
from layer_fast.quantify.stats.frame import grouped_mean

NEAR = tolerances.STATISTICS
QUICK = {"replicates": 199}


@pytest.fixture(scope="module")
def tables() -> tuple[Rows, Rows, np.ndarray, np.ndarray]:
    phi, case = draw_phi(np.random.default_rng(11), subjects=24, scans=3, effect={4: 1.5})
    phi[3, :, 2] = np.nan  # a subject without one layer
    layers, scans = shapley_tables(phi, case)
    for row in scans:
        row["site"] = "AB"[int(row["subject"][1:]) % 3 == 0]
    maps = map_tables(np.abs(np.nan_to_num(phi)), case)
    margin = {row["scan_id"]: row["margin"] for row in layers}
    return layers + [dict(row, margin=margin[row["scan_id"]]) for row in maps], scans, phi, case


@pytest.fixture(scope="module")
def result(tables: Any) -> dict[str, Any]:
    return cohort_statistics(tables[0], tables[1], by=("site",), logit_sd=2.5, **QUICK)


def analysis(result: dict[str, Any], definition: str = "layer_shapley") -> dict[str, Any]:
    return next(a for a in result["analyses"] if a["definition"] == definition)


def test_class_contrasts_are_those_of_the_claims(tables: Any, result: dict[str, Any]) -> None:
    claims = summary(tables[0], tables[1], logit_sd=2.5, **QUICK)
    for cell in claims["cells"]:
        found = analysis(result, cell["definition"])
        rows = found["classes"]["rows"]
        for theirs, mine in zip(cell["regions"], rows, strict=False):
            assert (mine["region"], mine["region_kind"]) == (theirs["region"], theirs["region_kind"])
            assert mine["estimate"] == pytest.approx(theirs["contrast"]["estimate"], abs=NEAR)
        assert found["units"] == cell["units"] and found["definition_sha256"] == cell["definition_sha256"]
        everyone = next(s for s in found["strata"] if s["by"] == "all")
        for theirs, mine in zip(cell["regions"], everyone["regions"], strict=True):
            mean = theirs["means"][cell["definition"]]
            assert mine["mean"]["estimate"] == pytest.approx(mean["estimate"], abs=NEAR)
    by_auc = next(c for c in claims["cells"] if c["method"] == "layer_shapley")["auc"]
    assert result["calibration"][0]["auc"]["low"] == by_auc["low"]


def test_paired_contrasts_by_hand(tables: Any, result: dict[str, Any]) -> None:
    phi = tables[2].mean(axis=1) / 2.5
    rows = analysis(result)["paired"]
    assert [r["family"] for r in rows] == ["layer_pairs"] * 15 + ["group_pairs"] * 2
    pair = next(r for r in rows if (r["first"], r["second"]) == ("superficial_fat", "muscle"))
    d = (phi[:, 2] - phi[:, 6])[~np.isnan(phi[:, 2])]
    assert pair["n"] == 23 and pair["estimate"] == pytest.approx(d.mean(), abs=NEAR)
    assert pair["p_wilcoxon"] == pytest.approx(stats.wilcoxon(d).pvalue, rel=NEAR)
    holm = multipletests([r["p"] for r in rows[:15]], method="holm")[1]
    bh = multipletests([r["p"] for r in rows[:15]], method="fdr_bh")[1]
    assert [r["p_holm"] for r in rows[:15]] == pytest.approx(holm.tolist(), rel=NEAR)
    assert [r["p_bh"] for r in rows[:15]] == pytest.approx(bh.tolist(), rel=NEAR)
    muscle = rows[15]
    assert (muscle["first"], muscle["second"], muscle["pair_kind"]) == ("muscle", "non_muscle", "group")
    rest = np.nansum(tables[2][:, :, 1:6], axis=2).mean(axis=1) / 2.5
    assert muscle["estimate"] == pytest.approx((phi[:, 6] - rest).mean(), abs=NEAR)


def test_differences_of_layers_between_classes(tables: Any, result: dict[str, Any]) -> None:
    phi, case = tables[2].mean(axis=1) / 2.5, tables[3]
    row = next(r for r in analysis(result)["classes"]["rows"]
               if (r.get("first"), r.get("second")) == ("deep_fat", "muscle"))  # fmt: skip
    d = phi[:, 4] - phi[:, 6]
    assert row["family"] == "class_layer_pairs"
    assert row["estimate"] == pytest.approx(d[case].mean() - d[~case].mean(), abs=NEAR)
    welch = stats.ttest_ind(d[case], d[~case], equal_var=False).pvalue
    assert row["between"]["p_welch"] == pytest.approx(welch, rel=1e-8)


def test_strata_hold_their_scans(tables: Any, result: dict[str, Any]) -> None:
    phi, case = tables[2], tables[3]
    margin = np.nansum(phi, axis=2)
    found = {(s["by"], s["level"]): s for s in analysis(result)["strata"]}
    right = (margin > 0) & case[:, None]
    assert found["correctness", "true positive"]["n_scans"] == right.sum()
    mean = np.array([p[r, 4].mean() for p, r in zip(phi / 2.5, right, strict=True) if r.any()])
    region = found["correctness", "true positive"]["regions"][4]
    assert region["n"] == len(mean) and region["mean"]["estimate"] == pytest.approx(mean.mean(), abs=NEAR)
    total = sum(s["n_scans"] for (by, _), s in found.items() if by == "correctness")
    assert total == margin.size
    site = np.arange(24) % 3 == 0
    x = phi[:, :, 4].mean(axis=1) / 2.5
    one = found["site", "B"]
    assert (one["n_subjects"], one["n_case"]) == (8, int((case & site).sum()))
    assert one["regions"][4]["mean"]["low"] is None  # 8 subjects
    assert found["label", "case"]["regions"][4]["mean"]["estimate"] == pytest.approx(x[case].mean(), abs=NEAR)
    assert one["regions"][4]["contrast"]["estimate"] is None  # 4 of a class
    inside = x[case & ~site].mean() - x[~case & ~site].mean()
    assert found["site", "A"]["regions"][4]["contrast"]["estimate"] == pytest.approx(inside, abs=NEAR)


def test_permutation_stays_within_sites(tables: Any, result: dict[str, Any]) -> None:
    settings = result["settings"]
    assert settings["site_column"] == "site" and "within values of site" in settings["tests"]["classes"]
    free = cohort_statistics(tables[0], tables[1], site="", logit_sd=2.5, **QUICK)
    assert free["settings"]["site_column"] is None
    assert [r["p"] for r in analysis(free)["classes"]["rows"]] != [r["p"] for r in analysis(result)["classes"]["rows"]]


def test_a_centre_comes_before_a_site_of_the_body(tables: Any) -> None:
    scans = [dict(row, centre="xy"[int(row["subject"][1:]) % 2], site="lr"[int(row["scan_id"][-1]) % 2])
             for row in tables[1]]  # fmt: skip
    assert cohort_statistics(tables[0], scans, **QUICK)["settings"]["site_column"] == "centre"
    assert cohort_statistics(tables[0], scans, site="site", **QUICK)["settings"]["site_column"] == "site"


def test_same_bytes_whatever_the_order(tables: Any, result: dict[str, Any]) -> None:
    layers, scans = list(tables[0]), list(tables[1])
    random.Random(0).shuffle(layers)
    random.Random(1).shuffle(scans)
    again = cohort_statistics(layers, scans, by=("site",), logit_sd=2.5, **QUICK)
    assert claims_json(again) == claims_json(result)
    assert json.loads(claims_json(result))["schema_version"] == 1


def test_members_are_kept_apart_and_do_not_change_each_other(tables: Any, result: dict[str, Any]) -> None:
    other = [dict(row, member="1", value=row["value"] * 3, margin=row["margin"] * 3)
             for row in tables[0] if row["method"] == "layer_shapley"]  # fmt: skip
    both = cohort_statistics([*tables[0], *other], tables[1], by=("site",), logit_sd=2.5, **QUICK)
    assert [c["member"] for c in both["calibration"]] == ["0", "1"]
    assert both["calibration"][0] == result["calibration"][0]
    mine = [a for a in both["analyses"] if a["member"] == "0"]
    assert mine == result["analyses"]
    assert [a["member"] for a in both["analyses"] if a["method"] == "layer_shapley"] == ["0", "1"]


def test_small_strata_are_withheld(tables: Any) -> None:
    scans = [dict(row, scanner="rare" if row["subject"] in ("p000", "p001") else "usual") for row in tables[1]]
    got = cohort_statistics(tables[0], scans, by=("scanner",), **QUICK)
    rare = next(s for s in analysis(got)["strata"] if s["level"] == "rare")
    assert rare["n_subjects"] == 2 and rare["withheld"] and rare["regions"] == []


def test_regions_of_few_subjects_are_withheld_inside_a_stratum(tables: Any) -> None:
    layers = [dict(row, value=float("nan")) if row["region"] == "dermis" and row["subject"] > "p003" else row
              for row in tables[0]]  # fmt: skip
    regions = analysis(cohort_statistics(layers, tables[1], **QUICK))["strata"][0]["regions"]
    assert (regions[1]["n"], regions[1]["mean"]["estimate"]) == (4, None)
    assert regions[2]["n"] == 23 and regions[2]["mean"]["estimate"] is not None


def test_subjects_with_another_label_are_in_no_contrast_of_a_stratum(tables: Any) -> None:
    scans = [dict(row, label="other") if row["scan_id"] == "p002-1" else row for row in tables[1]]
    everyone = analysis(cohort_statistics(tables[0], scans, **QUICK))["strata"][0]
    assert (everyone["n_subjects"], everyone["n_case"], everyone["n_control"]) == (24, 11, 12)


def test_a_mean_does_not_depend_on_the_columns_beside_it() -> None:
    x = np.random.default_rng(0).normal(size=(400, 7)) + 1e6
    group = np.repeat(np.arange(4), 100)
    whole = grouped_mean(x, group, 5)
    assert np.isnan(whole[4]).all()
    assert all((grouped_mean(x[:, [c]], group, 5)[:4, 0] == whole[:4, c]).all() for c in range(7))


def test_faults_are_named(tables: Any) -> None:
    layers, scans = tables[:2]
    with pytest.raises(ValueError, match="by: expected a column of the scans, got 'age'"):
        cohort_statistics(layers, scans, by=("age",), **QUICK)
    with pytest.raises(ValueError, match="at most 20 different values of 'subject', found 24"):
        cohort_statistics(layers, scans, by=("subject",), **QUICK)
    with pytest.raises(ValueError, match="site: expected a column"):
        cohort_statistics(layers, scans, site="clinic", **QUICK)
    with pytest.raises(ValueError, match="expected definitions of maps, got layer_shapley"):
        cohort_statistics(layers, scans, map_definitions=("layer_shapley",), **QUICK)


def test_nothing_usable_gives_nothing(tables: Any) -> None:
    layers, scans = tables[:2]
    bad = [dict(row, status="failed") for row in scans]
    got = cohort_statistics(layers, bad, **QUICK)
    assert got["scans"] == {"used": 0, "not_ok": 72, "subjects": 0, "units": {}}
    assert all(r["estimate"] is None for a in got["analyses"] for r in [*a["paired"], *a["classes"]["rows"]])
    assert cohort_statistics([], [], **QUICK)["analyses"] == []
