"""The presets that share a name with a column of a run's tables are the same number."""

from __future__ import annotations

import numpy as np
import pytest

import tolerances
from layer_fast import ops, quantify_map
from layer_fast.quantify import PRESETS, REDUCTIONS, map_region_rows


def test_presets_are_the_columns_of_a_run() -> None:
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 7, (8, 16, 12)).astype(np.uint8)
    labels[labels == 3] = 4  # an absent layer
    s = rng.normal(size=(4, 8, 6)).astype(np.float32)
    m = ops.layer_reduce(s, labels)
    sums = {name: getattr(m, name)[0] for name in ("sum", "sum_sq", "sum_abs", "sum_pos", "min", "max")}
    rows = map_region_rows(m.count[0], **sums, voxel_mm3=1.0)
    n_all, abs_all = sum(r["n_voxels"] for r in rows[:7]), sum(r["sum_abs"] for r in rows[:7])
    for row in rows:
        there = row["n_voxels"] > 0
        row["part_of_volume_mean"] = row["sum"] / n_all if there else np.nan
        row["mean_abs"] = row["sum_abs"] / row["n_voxels"] if there else np.nan
        row["share_of_all_abs"] = row["sum_abs"] / abs_all if there else np.nan
    names = [name for name, preset in PRESETS.items() if preset.kind == "map"]
    found = quantify_map(s, labels, definitions=[*names, "std", "sum"], spacing_mm=(1, 1, 1)).rows
    for name in [*names, "std", "sum"]:
        mine = [row for row in found if row["definition"] == name]
        assert [(r["region_kind"], r["region"], r["n_voxels"], r["present"], r["volume_mm3"]) for r in mine] == [
            (r["region_kind"], r["region"], r["n_voxels"], r["present"], r["volume_mm3"]) for r in rows
        ]
        expected = [row[name] for row in rows]
        # the run clips and sums the interpolated map in one pass, the reduction voxel by voxel after interpolation
        near = tolerances.INTERPOLATION_RELATIVE * float(np.abs(s).max())
        assert [r["value"] for r in mine] == pytest.approx(expected, abs=near, rel=near, nan_ok=True), name


def test_plain_definitions_are_the_run_to_the_bit() -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 7, (8, 16, 12)).astype(np.uint8)
    s = rng.normal(size=(4, 8, 6)).astype(np.float32)
    m = ops.layer_reduce(s, labels)
    rows = quantify_map(s, labels, definitions=REDUCTIONS["mean"]).rows
    assert [row["value"] for row in rows[:7]] == m.mean()[0].tolist()
