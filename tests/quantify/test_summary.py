"""The summary: independent recomputation, invariances, odd tables, bytes."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import numpy as np
import pytest
from scipy import stats

import tolerances
from fake_tables import draw_phi, map_tables, shapley_tables
from layer_fast.quantify import PRESETS, claims_json, summary

QUICK = {"replicates": 199}


@pytest.fixture(scope="module")
def tables() -> tuple[list[dict], list[dict], np.ndarray, np.ndarray]:
    phi, case = draw_phi(np.random.default_rng(11), subjects=24, scans=3, effect={4: 1.5})
    layers, scans = shapley_tables(phi, case)
    return layers + map_tables(np.abs(phi), case), scans, phi, case


def cell(result: dict[str, Any], method: str = "layer_shapley") -> dict[str, Any]:
    return next(c for c in result["cells"] if c["method"] == method)


def test_independent_recomputation(tables: Any) -> None:
    layers, scans, phi, case = tables
    got = cell(summary(layers, scans, logit_sd={"toy": 2.5}, **QUICK))
    x = phi.mean(axis=1) / 2.5
    welch = stats.ttest_ind(x[case], x[~case], equal_var=False)
    for k in range(7):
        contrast = got["regions"][k]["contrast"]
        assert contrast["estimate"] == pytest.approx(x[case, k].mean() - x[~case, k].mean(), abs=tolerances.STATISTICS)
        mean = got["regions"][k]["means"]["layer_shapley"]["estimate"]
        assert mean == pytest.approx(x[:, k].mean(), abs=tolerances.STATISTICS)
        # two different valid tests: not equal, but never far apart at 24 subjects
        one_sided = float(stats.t.sf(welch.statistic[k], welch.df[k]))
        assert contrast["p"] == pytest.approx(one_sided, abs=0.06)
    margin = phi.sum(axis=2).mean(axis=1)
    auc = stats.mannwhitneyu(margin[case], margin[~case]).statistic / (case.sum() * (~case).sum())
    assert got["auc"]["auc"] == pytest.approx(auc, abs=tolerances.STATISTICS)
    non_muscle = next(r for r in got["regions"] if r["region"] == "non_muscle")
    total = (x[case, 1:6].sum(1)).mean() - (x[~case, 1:6].sum(1)).mean()
    assert non_muscle["contrast"]["estimate"] == pytest.approx(total, abs=tolerances.STATISTICS)
    assert got["units"] == "SD of the model's logit"


def test_contrasts_add_to_the_class_separation(tables: Any) -> None:
    layers, scans, phi, case = tables
    got = cell(summary(layers, scans, **QUICK))
    margin = phi.sum(axis=2).mean(axis=1)
    total = sum(r["contrast"]["estimate"] for r in got["regions"][:7])
    assert total == pytest.approx(margin[case].mean() - margin[~case].mean(), abs=tolerances.STATISTICS)


def test_order_of_rows_and_kind_of_table_do_not_matter(tables: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    layers, scans, _, _ = tables
    expected = claims_json(summary(layers, scans, **QUICK))
    shuffled = random.Random(0).sample(layers, len(layers)), random.Random(1).sample(scans, len(scans))
    assert claims_json(summary(*shuffled, **QUICK)) == expected
    names = list(dict.fromkeys(n for row in layers for n in row))
    columns = {n: [row.get(n) for row in layers] for n in names}
    assert claims_json(summary(columns, scans, **QUICK)) == expected
    assert claims_json(summary(pa.table(columns), pa.Table.from_pylist(scans), **QUICK)) == expected


def test_swapping_the_classes_turns_the_contrast(tables: Any) -> None:
    layers, scans, _, _ = tables
    one = cell(summary(layers, scans, **QUICK))
    other = cell(summary(layers, scans, positive="control", negative="case", **QUICK))
    for a, b in zip(one["regions"], other["regions"], strict=True):
        assert a["contrast"]["estimate"] == pytest.approx(-b["contrast"]["estimate"])
    assert other["claim"]["driver"] is None


def test_a_cell_does_not_depend_on_the_others(tables: Any) -> None:
    layers, scans, _, _ = tables
    both = summary(layers, scans, **QUICK)
    alone = summary([r for r in layers if r["method"] == "gradcam"], scans, **QUICK)
    assert cell(both, "gradcam") == alone["cells"][0]


def test_absent_layers_failed_scans_and_odd_labels_are_counted(tables: Any) -> None:
    _, _, phi, case = tables
    holes = phi.copy()
    holes[5, :, 3] = np.nan  # a subject without this layer
    holes[7, 0, 3] = np.nan  # one scan without it
    layers, scans = shapley_tables(holes, case)
    scans[0]["status"], scans[7]["label"] = "failed", None
    scans[4]["label"] = "control" if scans[4]["label"] == "case" else "case"
    got = cell(summary(layers, scans, **QUICK))
    assert got["excluded"] == {"label_varies_within_subject": 6, "not_ok": 1}
    assert (got["n_subjects"], got["n_case"] + got["n_control"]) == (24, 22)
    keep = np.array([s not in (1, 2) for s in range(24)])
    x = np.array([np.nanmean(b[1:] if s == 0 else b) if np.isfinite(b).any() else np.nan
                  for s, b in enumerate(holes[:, :, 3])])
    expected = np.nanmean(x[keep & case]) - np.nanmean(x[keep & ~case])
    assert got["regions"][3]["contrast"]["estimate"] == pytest.approx(expected, abs=tolerances.STATISTICS)


def test_few_subjects_are_withheld_with_the_reason() -> None:
    layers, scans = shapley_tables(*draw_phi(np.random.default_rng(0), subjects=8))
    got = cell(summary(layers, scans, **QUICK))
    assert got["withheld"].startswith("few_subjects")
    assert all(r["contrast"]["low"] is None and r["contrast"]["estimate"] is not None for r in got["regions"])


def test_empty_tables_give_an_empty_but_whole_answer() -> None:
    got = summary([], [], **QUICK)
    assert (got["cells"], got["answers"], got["scans"]["total"]) == ([], [], 0)
    assert got["caption"] == "What this model uses, not what causes pain."
    json.loads(claims_json(got))


def test_comparisons_name_their_definition(tables: Any) -> None:
    layers, scans, _, _ = tables
    got = summary(layers, scans, **QUICK)["comparisons"]
    kinds = [(c["comparison"], c["method"], c["definition"]) for c in got]
    assert ("highest_layer", "gradcam", "mean_minmax_volume") in kinds
    assert ("muscle_against_non_muscle", "layer_shapley", "layer_shapley") in kinds
    assert all(c["definition_sha256"] == PRESETS[c["definition"]].sha256_short for c in got)
    top = next(c for c in got if c["comparison"] == "highest_layer" and c["method"] == "layer_shapley")
    assert top["first"]["region"] == "deep_fat"
    assert top["difference"]["estimate"] == pytest.approx(top["first"]["estimate"] - top["second"]["estimate"])


def test_wrong_tables_are_refused(tables: Any) -> None:
    layers, scans, _, _ = tables
    with pytest.raises(ValueError, match="some are missing"):
        summary(layers[1:], scans, **QUICK)
    with pytest.raises(ValueError, match="two rows of one region"):
        summary([*layers, layers[0]], scans, **QUICK)
    with pytest.raises(ValueError, match="unknown region"):
        summary([{**layers[0], "region": "bone"}], scans, **QUICK)
    with pytest.raises(ValueError, match="every scan_id once"):
        summary(layers, [*scans, scans[0]], **QUICK)
    with pytest.raises(ValueError, match="logit SD > 0"):
        summary(layers, scans, logit_sd=0.0, **QUICK)
    with pytest.raises(ValueError, match="definition of maps"):
        summary(layers, scans, map_definition="layer_shapley")


def test_classes_come_from_the_target(tables: Any) -> None:
    layers, scans, _, _ = tables
    turned = [{**row, "target": "margin:control-case"} for row in layers]
    assert summary(turned, scans, **QUICK)["settings"]["positive"] == "control"
    for target in ("logit:case-control", "margin:low-back-pain-control", "margin:case", "margin:case-"):
        with pytest.raises(ValueError, match=re.escape(target)):
            summary([{**row, "target": target} for row in layers], scans, **QUICK)


@pytest.mark.parametrize("labels", [(None, None), ("case", "case"), ("case", "control")])
def test_cohorts_without_a_contrast_are_summarised_without_one(labels: tuple[str | None, str | None]) -> None:
    """Two scans of two subjects: no label, one class, one subject a class."""
    layers, scans = shapley_tables(*draw_phi(np.random.default_rng(0), subjects=2, scans=1))
    for row, label in zip(scans, labels, strict=True):
        row["label"] = label
    result = summary(layers, scans, **QUICK)
    got = cell(result)
    assert (got["claim"]["verdict"], got["claim"]["driver"]) == ("no single driver", None)
    assert got["n_case"] + got["n_control"] == sum(label is not None for label in labels)
    assert got["regions"][6]["means"]["layer_shapley"]["estimate"] is not None  # means need no label
    json.loads(claims_json(result))


def test_classes_with_hyphens_are_given_by_targets(tables: Any) -> None:
    layers, scans, _, _ = tables
    names = {"case": "low-back-pain", "control": "no-pain"}
    turned = [{**row, "target": "margin:low-back-pain-no-pain"} for row in layers]
    relabelled = [{**row, "label": names[row["label"]]} for row in scans]
    targets = {"margin:low-back-pain-no-pain": ("low-back-pain", "no-pain")}
    got, plain = summary(turned, relabelled, targets=targets, **QUICK), summary(layers, scans, **QUICK)
    assert (got["settings"]["positive"], got["settings"]["negative"]) == ("low-back-pain", "no-pain")
    a, b = (cell(r)["regions"][4]["contrast"]["estimate"] for r in (got, plain))
    assert a == pytest.approx(b)
    assert cell(got)["auc"] == cell(plain)["auc"]
    with pytest.raises(ValueError, match="cannot be told apart by '-'"):
        summary(turned, relabelled, **QUICK)
    with pytest.raises(ValueError, match="expected the classes of 'margin:low-back-pain-no-pain'"):
        summary(turned, relabelled, targets={"margin:a-b": ("a", "b")}, **QUICK)
    with pytest.raises(ValueError, match="two different classes"):
        summary(turned, relabelled, targets={turned[0]["target"]: ("x", "x")}, **QUICK)
    with pytest.raises(ValueError, match="positive and negative or neither"):
        summary(layers, scans, positive="case", **QUICK)


def test_cells_of_different_targets_have_their_own_classes(tables: Any) -> None:
    layers, scans, _, _ = tables
    other = [{**row, "model": "turned", "target": "margin:control-case"} for row in layers]
    got = summary(layers + other, scans, **QUICK)
    assert (got["settings"]["positive"], got["settings"]["negative"]) == (None, None)
    one, two = (next(c for c in got["cells"] if c["model"] == m and c["method"] == "layer_shapley")
                for m in ("toy", "turned"))
    assert (one["positive"], two["positive"]) == ("case", "control")
    assert one == cell(summary(layers, scans, **QUICK))
    for a, b in zip(one["regions"], two["regions"], strict=True):
        assert a["contrast"]["estimate"] == pytest.approx(-b["contrast"]["estimate"])


def test_every_member_of_an_ensemble_has_its_own_logit_sd(tables: Any) -> None:
    layers, scans, _, _ = tables
    both = layers + [{**row, "member": "1"} for row in layers]
    got = summary(both, scans, logit_sd={"toy/0": 2.0, "toy/1": 4.0}, **QUICK)["cells"]
    assert [c["logit_sd"] for c in got if c["method"] == "layer_shapley"] == [2.0, 4.0]
    assert cell(summary(layers, scans, logit_sd={"toy": 2.0}, **QUICK))["logit_sd"] == 2.0
    assert cell(summary(layers, scans, logit_sd={"other": 2.0}, **QUICK))["logit_sd"] is None
    with pytest.raises(ValueError, match="expected a logit SD of bmode/toy/0"):
        summary(both, scans, logit_sd={"toy": 2.0}, **QUICK)


def test_setups_of_one_name_and_member_have_their_own_logit_sd(tables: Any) -> None:
    layers, scans, _, _ = tables
    both = [row for row in layers if row["method"] == "layer_shapley"]
    both += [{**row, "setup": "swe"} for row in both]
    got = summary(both, scans, logit_sd={"bmode/toy/0": 2.0, "swe/toy/0": 4.0}, **QUICK)["cells"]
    assert [(c["setup"], c["logit_sd"]) for c in got] == [("bmode", 2.0), ("swe", 4.0)]
    for shared in ("toy", "toy/0"):
        with pytest.raises(ValueError, match=f"expected a logit SD of bmode/toy/0, for {shared} means several"):
            summary(both, scans, logit_sd={shared: 2.0}, **QUICK)


def test_regions_say_in_how_many_subjects_they_are() -> None:
    phi, case = draw_phi(np.random.default_rng(0), subjects=24)
    phi[:3, :, 5] = np.nan
    region = cell(summary(*shapley_tables(phi, case), **QUICK))["regions"][5]
    assert (region["n_case"], region["n_control"]) == (10, 11)


def test_definitions_without_a_column_follow_from_the_sums(tables: Any) -> None:
    layers, scans, _, _ = tables
    rows = [row for row in layers if row["method"] == "gradcam"]
    for row in rows:
        row["sum_abs"] = 2.0 * row["sum"] + 1.0 if row["present"] else 0.0
    found = cell(summary(rows, scans, **QUICK), "gradcam")
    by_subject: dict[str, list[list[float]]] = {}
    for scan in {row["scan_id"] for row in rows}:
        own = [row for row in rows if row["scan_id"] == scan]
        whole = [row for row in own if row["region_kind"] != "group"]
        n, total = sum(r["n_voxels"] for r in whole), sum(r["sum_abs"] for r in whole)
        values = [[r["sum"] / n, r["sum_abs"] / r["n_voxels"], r["sum_abs"] / total] for r in own]
        by_subject.setdefault(own[0]["subject"], []).append(values)
    expected = np.mean([np.mean(scans_of, axis=0) for scans_of in by_subject.values()], axis=0)
    for region, values in zip(found["regions"], expected, strict=True):
        names = ("part_of_volume_mean", "mean_abs", "share_of_all_abs")
        got = [region["means"][name]["estimate"] for name in names]
        assert got == pytest.approx(values, abs=tolerances.STATISTICS), region["region"]


def test_the_rest_is_every_other_label(tables: Any) -> None:
    layers, scans, _, _ = tables
    renamed = [{**row, "target": "margin:case-rest"} for row in layers]
    controls = sorted({row["subject"] for row in scans if row["label"] == "control"})
    split = [{**row, "label": "other" if row["subject"] in controls[::2] else row["label"]} for row in scans]
    got, plain = cell(summary(renamed, split, **QUICK)), cell(summary(layers, scans, **QUICK))
    assert (got["n_case"], got["n_control"], got["negative"]) == (plain["n_case"], plain["n_control"], None)
    assert {row["label"] for row in split} == {"case", "control", "other"}


def test_only_margins_are_in_logit_sd_and_support_a_claim(tables: Any) -> None:
    layers, scans, _, _ = tables
    renamed = [{**row, "target": "probability:case"} for row in layers]
    targets = {"probability:case": ("case", "control")}
    got = cell(summary(renamed, scans, logit_sd={"toy": 2.5}, targets=targets, **QUICK))
    assert got["units"] == "units of the target" and got["logit_sd"] is None
    assert got["claim"]["verdict"] == "descriptive ranking only" and "probability:case" in got["claim"]["text"]
