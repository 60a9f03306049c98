"""requantify: what follows from stored statistics and coalitions has the bytes of the run."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest

import tiny
from layer_fast.cli import main
from layer_fast.cohort import run_cohort
from layer_fast.quantify.stored import games_of, rederive
from layer_fast.tables import LAYER_COLUMNS, arrow_schema

OPTIONS = {"methods": ["gradcam", "gradient", "layer_ablation", "layer_shapley"], "store": ["histograms", "slices"]}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("requantify")
    models = tiny.write_models(folder / "models", ("bmode", "both"))
    out = folder / "out"
    run_cohort(tiny.write_cohort(folder / "c", 8), models, out, OPTIONS)
    return out


def rewritten(results: Path, table: Any, path: Path) -> bytes:
    facts = json.loads((results / "run.json").read_text())
    targets = {
        (p["setup"], p["name"], p["member"]): (p["target"]["positive"], p["target"]["negative"])
        for p in facts["models"]
        if p["target"]
    }
    games = games_of(parquet.read_table(results / "coalitions.parquet"), targets, facts["config"]["target"])
    with parquet.ParquetWriter(path, arrow_schema(LAYER_COLUMNS), compression="zstd") as writer:
        writer.write_table(rederive(table, games))
    return path.read_bytes()


def blanked(table: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        i = table.column_names.index(name)
        table = table.set_column(i, table.schema.field(i), pyarrow.array(np.full(table.num_rows, 7.5)))
    return table


def test_derived_columns_and_values_have_the_bytes_of_the_run(results: Path, tmp_path: Path) -> None:
    derived = ("mean", "std", "mean_minmax_volume", "share_of_labelled", "share_of_all", "enrichment", "value")
    table = parquet.read_table(results / "layers.parquet")
    again = rewritten(results, blanked(table, derived), tmp_path / "again.parquet")
    assert again == (results / "layers.parquet").read_bytes()


@pytest.mark.parametrize("target", ["logit", "probability"])
def test_other_targets_too(tmp_path: Path, target: str) -> None:
    models = tiny.write_models(tmp_path / "models", ("bmode",))
    run_cohort(tiny.write_cohort(tmp_path / "c", 2), models, tmp_path / "out", {"target": target})
    table = blanked(parquet.read_table(tmp_path / "out" / "layers.parquet"), ("mean", "value"))
    assert rewritten(tmp_path / "out", table, tmp_path / "a.parquet") == (tmp_path / "out/layers.parquet").read_bytes()


def test_the_verb_says_identical_and_mends_what_is_not(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (results / "layers.parquet").read_bytes()
    assert main(["requantify", str(results), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "identical": True,
        "rows": 8 * 2 * 6 * 11 + 8 * 2 * 11,  # two fills
        "differing": {},
        "written": None,
    }
    broken = blanked(parquet.read_table(results / "layers.parquet"), ("enrichment",))
    parquet.write_table(broken, results / "layers.parquet")
    assert main(["requantify", str(results)]) == 0
    assert "written anew" in capsys.readouterr().out
    assert (results / "layers.parquet").read_bytes() == before


def test_definitions_without_a_volume_are_those_of_the_volume(results: Path, tmp_path: Path) -> None:
    names = ["mean_minmax_slice_z", "median", "share_of_all", "intersection_over_attention"]
    out = tmp_path / "long.parquet"
    assert main(["requantify", str(results), "--definition", *names, "--out", str(out)]) == 0
    rows = parquet.read_table(out).to_pylist()
    assert len(rows) == 4 * len({(r["scan_id"], r["setup"], r["method"], r["channel"]) for r in rows}) * 11
    how = {name: {r["how"] for r in rows if r["definition"] == name} for name in names}
    assert how["mean_minmax_slice_z"] == how["share_of_all"] == {"exact"} and "histogram" in how["median"]
    assert "needs_volumes" in how["intersection_over_attention"]
    stored = {
        (r["scan_id"], r["setup"], r["region_kind"], r["region"]): r["share_of_all"]
        for r in tiny.rows(results, "layers")
        if r["method"] == "gradcam"
    }
    mine = [r for r in rows if r["definition"] == "share_of_all" and r["method"] == "gradcam"]
    for r in mine:
        assert r["value"] == pytest.approx(
            stored[r["scan_id"], r["setup"], r["region_kind"], r["region"]], rel=1e-12, nan_ok=True
        )
    assert len({r["definition_sha256"] for r in rows}) == 4


def test_gain_is_a_number_of_the_cohort(results: Path, tmp_path: Path) -> None:
    definition = tmp_path / "gain.yaml"
    definition.write_text("name: my_gain\nstatistic: gain\nsign: absolute\n")
    out = tmp_path / "gain.csv"
    assert main(["requantify", str(results), "--definition", str(definition), "--out", str(out)]) == 0
    with out.open(newline="") as file:
        found = {
            (r["setup"], r["method"], r["channel"], r["region_kind"], r["region"]): float(r["value"])
            for r in csv.DictReader(file)
        }
    layers = [r for r in tiny.rows(results, "layers") if r["method"] == "gradient" and r["setup"] == "bmode"]
    sides = []
    for label in ("case", "control"):
        mine = [r for r in layers if r["label"] == label and r["region"] == "dermis"]
        subjects = sorted({r["subject"] for r in mine})
        sides.append(
            np.mean([np.mean([r["sum_abs"] / r["n_voxels"] for r in mine if r["subject"] == s]) for s in subjects])
        )
    assert found["bmode", "gradient", "", "layer", "dermis"] == pytest.approx(sides[0] / sides[1], rel=1e-12)


def test_results_of_another_kind_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["requantify", str(tmp_path)]) == 1
    assert "found no run.json" in capsys.readouterr().err
