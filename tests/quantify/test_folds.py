"""Statistics over folds that each had a model of their own: every subject in SDs of its own model's logit.

Numbers drawn for one model are multiplied by a power of two for each fold. In the units of each fold's model they are
what they were to the last bit, so every statistic must be that of the one model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow
import pytest

import tolerances
from fake_tables import draw_phi, map_tables, shapley_tables
from layer_fast.quantify import cohort_statistics, compare, games, summary

SD = {"a": 0.5, "b": 1.0, "c": 8.0}
BY_FOLD = {"bmode/toy/0": SD}
QUICK = {"replicates": 199}
Tables = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def tables(scale: dict[str, float], *, shift: dict[str, float] | None = None, seed: int = 11) -> Tables:
    """24 subjects in three folds; shift: added to every margin of a fold."""
    phi, case = draw_phi(np.random.default_rng(seed), subjects=24, scans=3, effect={4: 1.5})
    names = fold_names()
    by_subject = np.array([scale[name] for name in names])
    layers, scans = shapley_tables(phi * by_subject[:, None, None], case)
    thick = np.random.default_rng(seed).normal(5, 1, (24, 7))
    for row in layers:
        row["thickness_mm"] = thick[int(row["subject"][1:]), row["label_value"] or 0]
    layers += map_tables(np.abs(phi) * by_subject[:, None, None], case)
    for row in layers:
        row["margin"] += (shift or {}).get(names[int(row["subject"][1:])], 0.0)
    for row in scans:
        row["fold"] = names[int(row["subject"][1:])]
    return layers, scans


def fold_names() -> list[str]:
    return ["abc"[(i // 2) % 3] for i in range(24)]


@pytest.fixture(scope="module")
def one() -> Tables:
    return tables(dict.fromkeys(SD, 1.0))


@pytest.fixture(scope="module")
def several() -> Tables:
    return tables(SD)


def without(found: Any, *names: str) -> Any:
    if isinstance(found, dict):
        return {k: without(v, *names) for k, v in found.items() if k not in names}
    return [without(v, *names) for v in found] if isinstance(found, list) else found


def perturbed(layers: list[dict[str, Any]], scale: dict[str, float]) -> list[dict[str, Any]]:
    """guards.parquet of an eroded mask, under which every value is less by a quarter, in logits of its own model."""
    rows = [r for r in layers if r["method"] == "layer_shapley" and r["region_kind"] != "group"]
    names = fold_names()
    return [{**r, "variant": "mask:erode", "value": 0.75 * r["value"] - 0.125 * scale[names[int(r["subject"][1:])]]}
            for r in rows]  # fmt: skip


UNITS = ("units", "logit_sd", "auc_within_folds")


def test_claims_are_those_of_one_model_bit_by_bit(one: Tables, several: Tables) -> None:
    expected = summary(*one, guards=perturbed(one[0], dict.fromkeys(SD, 1.0)), **QUICK)
    found = summary(*several, logit_sd=BY_FOLD, guards=perturbed(several[0], SD), **QUICK)
    assert without(found, *UNITS) == without(expected, *UNITS)
    checked = {g["name"] for c in found["cells"] for g in c["claim"]["gates"] if g["passed"] is not None}
    assert {"auc", "contrast", "mask_sensitivity", "geometry_and_confounders"} <= checked
    assert without(summary(*several, **QUICK), *UNITS) != without(expected, *UNITS), "the scale does matter"
    value, mapped = (next(c for c in found["cells"] if c["method"] == m) for m in ("layer_shapley", "gradcam"))
    assert value["units"] == "SD of the model's logit" and value["logit_sd"] == SD
    assert mapped["units"] == "units of the map / SD of the model's logit"


def test_contrasts_by_hand(several: Tables) -> None:
    layers, scans = several
    found = next(c for c in summary(*several, logit_sd=BY_FOLD, **QUICK)["cells"] if c["method"] == "layer_shapley")
    fold = {row["subject"]: row["fold"] for row in scans}
    label = {row["subject"]: row["label"] for row in scans}
    for region in found["regions"]:
        name = region["region_kind"], region["region"]
        means: dict[str, list[float]] = {"case": [], "control": []}
        for subject, kind in label.items():
            values = [r["value"] / SD[fold[subject]] for r in layers if r["subject"] == subject
                      and r["method"] == "layer_shapley" and (r["region_kind"], r["region"]) == name]  # fmt: skip
            means[kind].append(sum(values) / len(values))
        d = np.mean(means["case"]) - np.mean(means["control"])
        assert region["contrast"]["estimate"] == pytest.approx(d, abs=tolerances.STATISTICS)


def test_statistics_and_compare_are_those_of_one_model(one: Tables, several: Tables) -> None:
    expected, found = cohort_statistics(*one, **QUICK), cohort_statistics(*several, logit_sd=BY_FOLD, **QUICK)
    assert without(found["analyses"], "units") == without(expected["analyses"], "units")
    names = ("auc", "auc_units", "n_subjects")
    assert [[c[n] for n in names] for c in found["calibration"]] == [
        [c[n] for n in names] for c in expected["calibration"]
    ]
    raw = cohort_statistics(*several, **QUICK)["calibration"]
    for name in ("brier", "log_loss", "intercept", "slope"):
        assert found["calibration"][0][name] == raw[0][name], "probabilities are those of each model as it is"
    assert compare(*several, logit_sd=BY_FOLD, **QUICK)["cells"] == compare(*one, **QUICK)["cells"]


def test_pairs_of_one_fold_are_counted_by_hand() -> None:
    shift = {"a": 9.0, "b": 0.0, "c": -300.0}
    layers, scans = tables(SD, shift=shift)
    cells = summary(layers, scans, logit_sd=BY_FOLD, **QUICK)["cells"]
    found = next(c for c in cells if c["method"] == "layer_shapley")
    margins: dict[str, list[float]] = {}
    for row in layers:
        if row["method"] == "layer_shapley" and row["region"] == "background":
            margins.setdefault(row["subject"], []).append(row["margin"] / SD[fold_names()[int(row["subject"][1:])]])
    mean = {subject: sum(values) / len(values) for subject, values in margins.items()}
    fold, label = ({row["subject"]: row[name] for row in scans} for name in ("fold", "label"))
    wins = {name: [] for name in SD}
    pooled = []
    for case in (s for s in mean if label[s] == "case"):
        for control in (s for s in mean if label[s] == "control"):
            win = float(mean[case] > mean[control]) + 0.5 * (mean[case] == mean[control])
            pooled.append(win)
            if fold[case] == fold[control]:
                wins[fold[case]].append(win)
    within = found["auc_within_folds"]
    every = [w for some in wins.values() for w in some]
    assert found["auc"]["auc"] == pytest.approx(np.mean(pooled), abs=tolerances.STATISTICS)
    assert within["auc"] == pytest.approx(np.mean(every), abs=tolerances.STATISTICS) and within["n_pairs"] == len(every)
    assert within["mean_of_folds"] == pytest.approx(np.mean([np.mean(w) for w in wins.values()]), abs=1e-12)
    assert {k: v["auc"] for k, v in within["folds"].items()} == pytest.approx({k: np.mean(w) for k, w in wins.items()})
    assert within["auc"] > found["auc"]["auc"] + 0.1, "offsets between the folds' models cost the pooled AUC"


def test_an_auc_that_only_folds_make_is_no_claim() -> None:
    """Fold a holds all cases but one and a model with a large intercept: the pooled AUC is the intercept's."""
    layers, scans = tables(dict.fromkeys(SD, 1.0))
    names = dict.fromkeys((r["subject"] for r in scans if r["label"] == "case"), "a")
    names |= dict.fromkeys((r["subject"] for r in scans if r["label"] == "control"), "b")
    swapped = min(s for s, f in names.items() if f == "a"), min(s for s, f in names.items() if f == "b")
    names[swapped[0]], names[swapped[1]] = "b", "a"
    for row in scans:
        row["fold"] = names[row["subject"]]
    for row in layers:
        row["margin"] = {"a": 5.0, "b": -5.0}[names[row["subject"]]] - (row["label"] == "case")
    found = summary(layers, scans, logit_sd={"bmode/toy/0": {"a": 1.0, "b": 1.0}}, **QUICK)
    cell = next(c for c in found["cells"] if c["method"] == "layer_shapley")
    gate = next(g for g in cell["claim"]["gates"] if g["name"] == "auc")
    assert cell["auc"]["lower_limit"] > 0.5 and cell["auc_within_folds"]["auc"] == 0.0
    assert gate["passed"] is False and "among subjects of one fold" in gate["reason"] and "AUC 0.00" in gate["reason"]


def test_one_subject_in_each_fold_has_no_pairs_within(one: Tables) -> None:
    """Leave one out: the pooled AUC alone is asked."""
    layers, scans = one
    alone = [{**row, "fold": row["subject"]} for row in scans]
    sd = {"bmode/toy/0": {row["subject"]: 1.0 for row in alone}}
    found, expected = summary(layers, alone, logit_sd=sd, **QUICK), summary(layers, scans, **QUICK)
    assert without(found, *UNITS) == without(expected, *UNITS)
    assert found["cells"][-1]["auc_within_folds"]["auc"] is None


def test_a_target_that_is_no_margin_keeps_its_values_and_ranks_margins_alike(one: Tables, several: Tables) -> None:
    def logit(found: Tables) -> Tables:
        return [{**row, "target": "logit:case"} for row in found[0]], found[1]

    pair = {"targets": {"logit:case": ("case", "control")}, **QUICK}
    found, expected = summary(*logit(several), logit_sd=BY_FOLD, **pair), summary(*logit(one), **pair)
    raw = summary(*logit(several), **pair)
    assert [c["auc"] for c in found["cells"]] == [c["auc"] for c in expected["cells"]]
    assert [c["regions"] for c in found["cells"]] == [c["regions"] for c in raw["cells"]]
    assert all(c["logit_sd"] is None for c in found["cells"])


def test_a_seen_subject_is_the_maps_fault(several: Tables) -> None:
    layers = [{**row, "exposure": "seen" if row["subject"] == "p003" else "unseen"} for row in several[0]]
    for sd, said in ((BY_FOLD, True), ({"bmode/toy/0": 1.0}, False)):
        cell = next(c for c in summary(layers, several[1], logit_sd=sd, **QUICK)["cells"] if c["claim"]["gates"])
        gate = next(g for g in cell["claim"]["gates"] if g["name"] == "exposure")
        assert gate["passed"] is False and "1 seen" in gate["reason"]
        assert ("the fold map sends subjects to a model that was trained on them" in gate["reason"]) == said


def test_games_are_those_of_one_model(one: Tables, several: Tables) -> None:
    rng = np.random.default_rng(3)
    values = {row["scan_id"]: rng.normal(0, 1, 128) for row in one[1]}
    pairs = {"margin:case-control": ("case", "control")}

    def made(found: Tables, scale: dict[str, float], **more: Any) -> dict[str, Any]:
        rows, layers = [], [r for r in found[0] if r["method"] == "layer_shapley"]
        for row in found[1]:
            common = {"scan_id": row["scan_id"], "setup": "bmode", "model": "toy", "member": "0",
                      "fill": "cohort_profile", "mask": "manual"}  # fmt: skip
            v = values[row["scan_id"]] * scale[row["fold"]]
            rows += [{**common, "output": "logit:case", "values": v.tolist()},
                     {**common, "output": "logit:control", "values": [0.0] * 128}]  # fmt: skip
        table = pyarrow.Table.from_pylist(rows)
        return dict(games(layers, table, found[1], targets=pairs, **QUICK, **more)["games"][0])

    expected, found = made(one, dict.fromkeys(SD, 1.0)), made(several, SD, logit_sd=BY_FOLD)
    raw = made(several, SD)
    assert found["interactions"] == expected["interactions"] and found["auc"] == expected["auc"] != raw["auc"]
    assert found["log_loss"] == raw["log_loss"] != expected["log_loss"], "a loss is of probabilities as they are"
    assert found["units"] == "SD of the model's logit"


def test_folds_that_do_not_fit(several: Tables) -> None:
    layers, scans = several
    with pytest.raises(ValueError, match=r"expected scan p000-0 in one of the folds b, c, got 'a'"):
        summary(layers, scans, logit_sd={"toy": {"b": 1.0, "c": 1.0}}, **QUICK)
    with pytest.raises(ValueError, match="expected a logit SD > 0"):
        summary(layers, scans, logit_sd={"toy": {**SD, "b": 0.0}}, **QUICK)
    with pytest.raises(ValueError, match="a logit SD of every fold or of none"):
        summary(layers, scans, logit_sd={"toy": {**SD, "b": None}}, **QUICK)
    none = summary(layers, scans, logit_sd={"toy": dict.fromkeys(SD)}, **QUICK)["cells"][0]
    assert none["units"] in ("logits of the target", "units of the map") and none["auc_within_folds"]["n_pairs"] > 0
