"""The gate of perturbed masks: the same layer on top, or another; who counts; what a second rater's cell does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fake_tables import KEY, draw_phi, shapley_tables
from layer_fast.quantify import summary
from layer_fast.types import REGIONS

VARIANTS = ("mask:deeper", "mask:dilate", "mask:erode", "mask:shallower")


def guard_rows(phi: np.ndarray, variant: str, *, method: str = "layer_shapley") -> list[dict[str, Any]]:
    return [
        {
            "scan_id": f"p{s:03d}-{k}", **KEY, "setup": "bmode", "method": method, "variant": variant,
            "region": REGIONS[label], "label_value": label, "value": float(values[label]),
        }
        for s, block in enumerate(phi)
        for k, values in enumerate(block)
        for label in range(7)
    ]  # fmt: skip


def gate_of(layers: Any, scans: Any, guards: Any) -> dict[str, Any]:
    answer = summary(layers, scans, replicates=99, guards=guards)["answers"][0]
    return next(g for g in answer["gates"] if g["name"] == "mask_sensitivity")


def planted(seed: int = 0, subjects: int = 40) -> tuple[np.ndarray, np.ndarray]:
    return draw_phi(np.random.default_rng(seed), subjects=subjects, effect={5: 2.0})


def test_same_layer_under_every_mask_passes_with_the_least_contrast() -> None:
    phi, case = planted()
    rng = np.random.default_rng(1)
    factors = dict(zip(VARIANTS, (0.9, 1.1, 0.5, 1.0), strict=True))
    guards = [r for v, f in factors.items() for r in guard_rows(f * phi + rng.normal(0, 0.05, phi.shape), v)]
    gate = gate_of(*shapley_tables(phi, case), guards)
    assert (gate["passed"], gate["value"]) == (True, "4 of 4")
    assert "under mask:erode" in gate["reason"]


def test_another_layer_under_one_mask_fails_and_is_named() -> None:
    phi, case = planted()
    moved = phi.copy()
    moved[:, :, 5] = 0.3 * phi[:, :, 5]  # still above 0: being smaller is enough
    moved[:, :, 6] += 0.7 * phi[:, :, 5]
    guards = [r for v in VARIANTS for r in guard_rows(moved if v == "mask:deeper" else phi, v)]
    gate = gate_of(*shapley_tables(phi, case), guards)
    assert (gate["passed"], gate["value"]) == (False, "3 of 4")
    assert "mask:deeper: muscle" in gate["reason"]


def test_layer_that_vanishes_under_erosion_fails() -> None:
    phi, case = planted()
    gone = phi.copy()
    gone[:, :, 5] = np.nan
    gate = gate_of(*shapley_tables(phi, case), guard_rows(gone, "mask:erode"))
    assert gate["passed"] is False


def test_negative_contrast_fails_even_as_the_largest() -> None:
    phi, case = planted()
    down = phi.copy()
    down[case] -= 5.0
    gate = gate_of(*shapley_tables(phi, case), guard_rows(down, "mask:erode"))
    assert gate["passed"] is False


def test_not_checked_without_rows_of_enough_subjects() -> None:
    phi, case = planted()
    tables = shapley_tables(phi, case)
    assert gate_of(*tables, None)["passed"] is None
    assert gate_of(*tables, guard_rows(phi, "mask:erode", method="gradcam"))["passed"] is None
    assert gate_of(*tables, guard_rows(phi[:12], "mask:erode"))["passed"] is None
    assert gate_of(*tables, guard_rows(phi[:24], "mask:erode"))["passed"] is True


def test_cell_of_another_rater_counts_like_a_mask() -> None:
    phi, case = planted()
    layers, scans = shapley_tables(phi, case)
    moved = phi.copy()
    moved[:, :, [5, 6]] = phi[:, :, [6, 5]]
    second = [{**row, "mask": "manual:second"} for row in shapley_tables(moved, case)[0]]
    gate = gate_of([*layers, *second], scans, None)
    assert (gate["passed"], gate["value"]) == (False, "0 of 1")
    assert "rater:manual:second: muscle" in gate["reason"]


def test_arrow_tables_give_the_same() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    phi, case = planted()
    rows = [r for v in VARIANTS for r in guard_rows(phi * 0.8, v)] + guard_rows(phi, "")
    tables = shapley_tables(phi, case)
    assert gate_of(*tables, pyarrow.Table.from_pylist(rows)) == gate_of(*tables, rows)


def test_least_contrast_is_the_smallest_also_where_its_subjects_had_none_before() -> None:
    """Subjects that a variant has may show no contrast under their own masks: a ratio would be negative, or of 0."""
    phi, case = planted()
    few = np.zeros(40, bool)
    few[:24] = True
    own = phi.copy()
    own[few & case] = -1.0  # of these subjects alone D of the top layer is below 0 under the run's own masks
    own[few & ~case] = 0.0
    own[few, :, 5] = 0.0
    own[few & case, :, 5] = -0.5
    own[~few & case, :, 5] += 5.0
    rows = [*guard_rows(phi[few], "mask:erode"), *guard_rows(0.5 * own, "mask:dilate")]
    gate = gate_of(*shapley_tables(own, case), rows)
    assert gate["passed"] is True
    assert "under mask:dilate" in gate["reason"]


def test_same_layer_on_top_with_no_contrast_above_0_says_its_contrast() -> None:
    phi, case = planted()
    down = phi.copy()
    down[case] -= 5.0
    down[case, :, 5] += 2.0  # D of about 2 - 5 + 2
    gate = gate_of(*shapley_tables(phi, case), guard_rows(down, "mask:erode"))
    assert gate["passed"] is False and "mask:erode: deep fascial membrane with D" in gate["reason"]
