"""requantify and compare of a run under hierarchies: columns of the cohort table, numbers of subjects, slices."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest

import tiny
from layer_fast import quantify_map
from layer_fast.cli import main
from layer_fast.cohort import run_cohort
from layer_fast.errors import ConfigError
from layer_fast.quantify import HIERARCHY_PRESETS
from oracle_hierarchy import subject_number

SIDES = ("left", "left", "right", "", "left", "right", "right", "right")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight scans of two subjects, with sides and visits; s003 has no side."""
    folder = tmp_path_factory.mktemp("hierarchy")
    table = tiny.write_cohort(folder / "c", 8)
    rows = list(csv.DictReader(table.open(newline="")))
    for i, row in enumerate(rows):
        row |= {"subject": f"p{i // 4}", "label": ("control", "case")[i // 4], "side": SIDES[i], "visit": str(i % 2)}
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    models = tiny.write_models(folder / "models", ("bmode",))
    run_cohort(table, models, folder / "out", {"methods": ["gradcam", "layer_shapley"], "store": ["slices"]})
    return folder / "out"


def definition(folder: Path, **fields: Any) -> str:
    path = folder / "mine.json"
    path.write_text(json.dumps({"name": "mine", **fields}))
    return str(path)


def evaluated(results: Path, tmp_path: Path, **fields: Any) -> list[dict[str, Any]]:
    out = tmp_path / "long.parquet"
    assert main(["requantify", str(results), "--definition", definition(tmp_path, **fields), "--out", str(out)]) == 0
    return list(parquet.read_table(out).to_pylist())


def test_the_columns_of_the_cohort_table_are_in_the_scans(results: Path) -> None:
    assert [row["side"] or "" for row in tiny.rows(results, "scans")] == list(SIDES)


@pytest.mark.parametrize(
    ("hierarchy", "pooled", "sliced"),
    [
        ({"levels": ["side"]}, False, False),
        ({"levels": ["side", "visit"], "over": {"scan": "median"}}, False, False),
        ({"levels": ["visit", "side"], "ratio": "ratio_of_means"}, True, False),
        ({"levels": ["side"], "slices": "z", "over": {"slice": "median"}}, False, True),
        ({"slices": "z", "ratio": "ratio_of_means"}, True, True),
    ],
)
def test_numbers_of_subjects_agree_with_plain_loops(
    results: Path, tmp_path: Path, hierarchy: dict[str, Any], pooled: bool, sliced: bool
) -> None:
    rows = evaluated(results, tmp_path, statistic="enrichment", sign="positive", hierarchy=hierarchy)
    stored: dict[str, dict[str, Any]] = {row["scan_id"]: {**row} for row in tiny.rows(results, "scans")}
    parts: dict[str, dict[int, list[Any]]] = defaultdict(dict)
    for row in tiny.rows(results, "slices" if sliced else "layers"):
        if row["method"] == "gradcam" and row["label_value"] is not None:
            units = zip(row["sum_pos"], row["count"], strict=True) if sliced else [(row["sum_pos"], row["n_voxels"])]
            parts[row["scan_id"]][row["label_value"]] = list(units)
    checked = 0
    for row in rows:
        if row["scan_id"] is not None or row["label_value"] is None:
            continue
        scans = []
        for name, of in parts.items():
            whole = [np.sum([of[k][i] for k in range(7)], axis=0) for i in range(len(of[0]))]
            units = [(*of[row["label_value"]][i], *whole[i]) for i in range(len(whole))]
            scans += [{**stored[name], "units": units}] if stored[name]["subject"] == row["subject"] else []
        expected = subject_number(scans, "enrichment", levels=hierarchy.get("levels", []),
                                  over=hierarchy.get("over", {}), pooled=pooled, sliced=sliced)  # fmt: skip
        assert row["value"] == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True) and row["how"] == "exact"
        checked += expected == expected
    assert checked >= 10
    subjects = [row for row in rows if row["scan_id"] is None]
    assert {(row["subject"], row["label"]) for row in subjects} == {("p0", "control"), ("p1", "case")}
    assert len(rows) - len(subjects) == 8 * 11 and len(subjects) == 2 * 11


def test_a_plain_definition_has_no_rows_of_subjects(results: Path, tmp_path: Path) -> None:
    rows = evaluated(results, tmp_path, statistic="mean")
    assert len(rows) == 8 * 11 and None not in {row["scan_id"] for row in rows}


def test_gain_takes_the_numbers_of_the_hierarchy(results: Path, tmp_path: Path) -> None:
    by_side = {"levels": ["side"], "over": {"side": "median"}}
    gains = {row["region"]: row["value"] for row in evaluated(results, tmp_path, statistic="gain", hierarchy=by_side)
             if row["region_kind"] == "layer"}  # fmt: skip
    means = {(row["subject"], row["region"]): row["value"]
             for row in evaluated(results, tmp_path, statistic="mean", hierarchy=by_side)
             if row["scan_id"] is None and row["region_kind"] == "layer"}  # fmt: skip
    assert gains == {region: pytest.approx(means["p1", region] / means["p0", region], rel=1e-12) for region in gains}


def test_a_level_without_its_column_is_a_usage_error(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = definition(tmp_path, statistic="mean", hierarchy={"levels": ["repeat"]})
    for verb in (["requantify", str(results), "--out", str(tmp_path / "o.csv")], ["compare", str(results)]):
        assert main([*verb, "--definition", path]) == 1
        assert "needs the column 'repeat' of the cohort table, found of these levels: side, visit" in (
            capsys.readouterr().err
        )
    assert not (tmp_path / "o.csv").exists()


def test_compare_says_what_another_hierarchy_changes(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(results)]) == 0
    text = capsys.readouterr().out
    assert "mean_minmax_volume_by_side (mean over scans, mean over sides, 1 scans without side): " in text
    names = ["mean_minmax_slice_z", *HIERARCHY_PRESETS]
    assert main(["compare", str(results), "--definition", *names, "--json"]) == 0
    cell = next(c for c in json.loads(capsys.readouterr().out)["cells"] if c["method"] == "gradcam")
    found = {one["definition"]: one["base"] for one in cell["hierarchies"]}
    assert set(found) == set(HIERARCHY_PRESETS) and cell["not_compared"] == []
    assert found["mean_minmax_slice_z_average_of_slices_z"] == "mean_minmax_slice_z"
    assert found["mean_ratio_of_means"] is None  # its base was not asked for


def test_a_single_map_has_no_hierarchy() -> None:
    one = HIERARCHY_PRESETS["mean_minmax_volume_by_side"]
    with pytest.raises(ConfigError, match="mean over sides"):
        quantify_map(np.ones((2, 3, 4), np.float32), np.ones((2, 3, 4), np.uint8), definitions=one)
