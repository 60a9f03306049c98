"""Labels that belong to a side or a scan: nothing is thrown away that can be compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tolerances
from fake_tables import Rows, draw_phi, shapley_tables
from layer_fast.quantify import cohort_statistics

NEAR = tolerances.STATISTICS
QUICK = {"replicates": 199}


def sided(subjects: int = 30, effect: float = 1.0) -> tuple[Rows, Rows, np.ndarray, np.ndarray]:
    """Two scans of either side; a third of the subjects has one side of each class. phi (subjects, 4, 7)."""
    phi, case = draw_phi(np.random.default_rng(4), subjects=subjects, scans=4)
    positive = np.repeat(case[:, None], 4, axis=1)
    positive[::3] = [True, True, False, False]
    phi[positive, 4] += effect
    layers, scans = shapley_tables(phi, case)
    for row, label in zip(scans, positive.ravel(), strict=True):
        row |= {"label": "case" if label else "control", "label_unit": "side", "side": "LLRR"[int(row["scan_id"][-1])]}
    return layers, scans, phi, positive


def deep_fat(result: dict[str, Any]) -> dict[str, Any]:
    return next(r for r in result["analyses"][0]["classes"]["rows"] if r.get("region") == "deep_fat")


def test_sides_are_compared_within_and_between_subjects() -> None:
    layers, scans, phi, positive = sided()
    result = cohort_statistics(layers, scans, **QUICK)
    classes = result["analyses"][0]["classes"]
    assert result["scans"]["units"] == {"side": 60} and result["settings"]["label_unit"] == ["side"]
    assert (classes["n_units"], classes["n_both"], classes["excluded"]) == (60, 10, {})
    row = deep_fat(result)
    assert row["basis"] == "both" and row["p"] <= 0.01
    x = phi[:, :, 4].reshape(30, 2, 2).mean(axis=2)
    mixed = np.arange(30) % 3 == 0
    assert row["within"]["n"] == 10
    assert row["within"]["estimate"] == pytest.approx((x[mixed, 0] - x[mixed, 1]).mean(), abs=NEAR)
    case, control = positive.all(axis=1), ~positive.any(axis=1)
    between = x[case].mean() - x[control].mean()
    assert row["between"]["estimate"] == pytest.approx(between, abs=NEAR)
    assert row["low"] < 1.0 < row["high"]
    auc = result["calibration"][0]
    assert auc["n_both"] == 10 and auc["auc_units"]["low"] < auc["auc_units"]["estimate"]


def test_scans_are_units_of_their_own() -> None:
    layers, scans, phi, positive = sided()
    positive = np.random.default_rng(1).random((30, 4)) < 0.5
    for row, label in zip(scans, positive.ravel(), strict=True):
        row |= {"label": "case" if label else "control", "label_unit": "scan"}
    result = cohort_statistics(layers, scans, **QUICK)
    assert result["scans"]["units"] == {"scan": 120}
    mixed = positive.any(axis=1) & ~positive.all(axis=1)
    row = deep_fat(result)
    d = [x[z].mean() - x[~z].mean() for x, z in zip(phi[mixed, :, 4], positive[mixed], strict=True)]
    assert row["basis"] == "within subjects" and row["within"]["n"] == mixed.sum()
    assert row["estimate"] == pytest.approx(np.mean(d), abs=NEAR)


def test_a_contradicting_or_missing_label_leaves_its_unit_out() -> None:
    layers, scans, _, _ = sided()
    scans[1]["label"] = "control"  # subject 0, left: case and control
    scans[4]["label"] = None  # subject 1, left: a label and none
    scans[10]["label"] = scans[11]["label"] = "other"  # subject 2, right
    classes = cohort_statistics(layers, scans, **QUICK)["analyses"][0]["classes"]
    assert classes["excluded"] == {"label_missing_or_other": 2, "label_varies_within_unit": 4}
    assert classes["n_units"] == 57


def test_labels_of_subjects_that_vary_are_left_out_as_in_the_claims() -> None:
    layers, scans, _, _ = sided()
    for row in scans:
        row["label_unit"] = "subject"
    classes = cohort_statistics(layers, scans, **QUICK)["analyses"][0]["classes"]
    assert classes["excluded"] == {"label_varies_within_unit": 40} and classes["n_units"] == 20
