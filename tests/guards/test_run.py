"""Guards inside a run: rows in guards.parquet, entries in guards.json, the same bytes whatever the neighbours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import layer_fast as lf
import tiny
from layer_fast.cli.summary_files import write_summary
from layer_fast.errors import ConfigError
from layer_fast.guards import PERTURBATIONS, label_dice, perturbed
from layer_fast.tables import GUARD_COLUMNS

ALL = ("leakage", "nulls", "mask_perturbation")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("guards")
    return tiny.write_models(folder / "models", ("bmode",)), tiny.write_cohort(folder / "cohort", 3, masks=True)


@pytest.fixture(scope="module")
def out(world: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    models, table = world
    folder = tmp_path_factory.mktemp("guarded") / "out"
    assert lf.run_cohort(table, models, folder, {"guards": ALL, "setups": ("bmode",)}).counts == {"ok": 3}
    return folder


def rows(out: Path, **wanted: Any) -> list[dict[str, Any]]:
    return [r for r in tiny.rows(out, "guards") if all(r[k] == v for k, v in wanted.items())]


def test_every_variant_has_seven_rows_a_scan(out: Path) -> None:
    maps = ["", "null:depth", "null:lateral", *(f"mask:{p}" for p in ("erode", "dilate", "shallower", "deeper"))]
    for scan in ("s000", "s001", "s002"):
        for variant in maps:
            found = rows(out, scan_id=scan, method="gradcam", variant=variant)
            assert [r["label_value"] for r in found] == list(range(7))
        for method in ("layer_shapley", "layer_ablation"):
            assert len(rows(out, scan_id=scan, method=method)) == 4 * 7
    assert set(rows(out)[0]) == set(GUARD_COLUMNS)


def test_every_variant_says_how_far_it_is_from_the_runs_mask(out: Path) -> None:
    for how in PERTURBATIONS:
        expected = list(label_dice(tiny.labels(), perturbed(tiny.labels(), how)))
        for method in ("gradcam", "layer_shapley", "layer_ablation"):
            found = [r["dice"] for r in rows(out, scan_id="s000", method=method, variant=f"mask:{how}")]
            assert found == pytest.approx(expected)
    assert all(r["dice"] is None for r in rows(out) if not r["variant"].startswith("mask:"))


def test_mean_of_the_map_is_the_one_of_the_layer_table(out: Path) -> None:
    own = {r["region"]: r["value"] for r in rows(out, scan_id="s001", variant="", method="gradcam")}
    table = [r for r in tiny.rows(out, "layers") if r["scan_id"] == "s001" and r["method"] == "gradcam"]
    means = {r["region"]: r["mean"] for r in table if r["region_kind"] in ("layer", "background")}
    assert own == pytest.approx(means, rel=1e-6)


def test_values_under_a_perturbed_mask_are_those_of_a_run_with_that_mask(
    out: Path, world: tuple[Path, Path], tmp_path: Path
) -> None:
    table = tiny.write_cohort(tmp_path / "moved", 3, masks=True)
    for i in range(3):
        tiny.write_volume(table.parent / f"m{i}.nii.gz", perturbed(tiny.labels(), "deeper"))
    options = {"setups": ("bmode",), "fills": ("cohort_profile",)}  # perturbed masks ask the first fill only
    lf.run_cohort(table, world[0], tmp_path / "out", options)
    for method, column in (("layer_shapley", "value"), ("layer_ablation", "value"), ("gradcam", "mean")):
        found = {(r["scan_id"], r["region"]): r["value"] for r in rows(out, method=method, variant="mask:deeper")}
        peer = [r for r in tiny.rows(tmp_path / "out", "layers") if r["method"] == method]
        expected = {(r["scan_id"], r["region"]): r[column] for r in peer if r["region_kind"] != "group"}
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-9, nan_ok=True)


def test_rows_do_not_depend_on_the_neighbours(out: Path, world: tuple[Path, Path]) -> None:
    refs = lf.load_table(world[1])
    alone = lf.Pipeline(world[0], {"guards": ALL, "setups": ("bmode",)}).process(refs[1])
    own = [r for r in rows(out, scan_id="s001") if r["variant"] != "null:other_masks"]  # of the run, in no record
    assert repr([{k: v for k, v in r.items() if k != "label"} for r in alone.guards]) == repr(
        [{k: v for k, v in r.items() if k in alone.guards[0] and k != "label"} for r in own]
    )


def test_second_rater_is_a_variant_for_every_setup(world: tuple[Path, Path], tmp_path: Path) -> None:
    models = tiny.write_models(tmp_path / "models", ("bmode", "swe"))
    text = world[1].read_text().splitlines()
    lines = [text[0] + ",mask:second", *(f"{line},m{i}.nii.gz" for i, line in enumerate(text[1:]))]
    table = world[1].with_name("raters.csv")
    table.write_text("\n".join(lines) + "\n")
    options = {"guards": ("mask_perturbation",), "setups": ("bmode", "swe"), "fills": ("cohort_profile",)}
    lf.run_cohort(table, models, tmp_path / "out", options)
    other = {r["variant"] for r in rows(tmp_path / "out")} - {f"mask:{p}" for p in
                                                              ("erode", "dilate", "shallower", "deeper")}  # fmt: skip
    assert len(other) == 1
    variant = other.pop()
    assert variant.startswith("rater:manual")
    layers = [r for r in tiny.rows(tmp_path / "out", "layers") if r["method"] == "layer_shapley"]
    own = {(r["scan_id"], r["setup"], r["region"]): r["value"] for r in layers if r["region_kind"] != "group"}
    found = rows(tmp_path / "out", method="layer_shapley", variant=variant)
    assert {(r["scan_id"], r["setup"], r["region"]): r["value"] for r in found} == own  # the same file, another name
    assert {r["setup"] for r in found} == {"bmode", "swe"}


def test_summary_has_an_entry_for_each_guard(out: Path) -> None:
    write_summary(out)
    document = json.loads((out / "guards.json").read_text())
    entries = [e for e in document["guards"] if e["method"] == "gradcam"]
    assert [e["name"] for e in entries] == [
        "leakage", "border", "null_depth", "null_lateral", "null_other_masks", "low_information",
    ]  # fmt: skip
    leak = entries[0]
    table = rows(out, variant="", method="gradcam", region="muscle")
    assert leak["value"]["muscle"] == pytest.approx(np.mean([r["leakage_in"] for r in table]))
    assert leak["fired"] is False and "neighbours" in leak["statistic"]
    values = [e for e in document["guards"] if e["method"] == "layer_shapley"]
    assert {e["fill"] for e in values} == {"cohort_profile", "constant"}
    gates = [e for e in values if e["fill"] == "cohort_profile"]
    assert [e["name"] for e in gates] == ["geometry_and_confounders", "mask_sensitivity", "low_information"]
    assert [e["fired"] for e in gates] == [None, None, False]  # two subjects support nothing


def test_randomisation_runs_once_on_few_scans_and_moves_no_key(world: tuple[Path, Path], tmp_path: Path) -> None:
    options = {"setups": ("bmode",), "methods": ("gradcam", "gradient")}
    run = lf.run_cohort(world[1], world[0], tmp_path, {**options, "guards": ("leakage", "randomisation")})
    document = json.loads((tmp_path / "randomisation.json").read_text())
    assert document["scans"] == ["s000", "s001", "s002"] and run.reused == 0
    assert [(m["method"], m["scans"]) for m in document["models"]] == [("gradcam", 3), ("gradient", 3)]
    assert [s["weights"] for s in document["models"][0]["stages"]] == [1, 2]  # two tensors cannot be cut in three
    write_summary(tmp_path)
    entries = {e["method"]: e for e in json.loads((tmp_path / "guards.json").read_text())["guards"]
               if e["name"] == "randomisation"}  # fmt: skip
    for model in document["models"]:
        assert entries[model["method"]]["value"] == model["statistic"]
        assert entries[model["method"]]["fired"] == model["fired"] == (model["statistic"] > 0.5)
    again = lf.run_cohort(world[1], world[0], tmp_path, {**options, "guards": ("leakage",)})
    assert {r["method"] for r in rows(tmp_path)} == {"gradcam"}  # a gradient has no cells of an activation
    assert again.reused == 3 and not (tmp_path / "randomisation.json").exists()


def test_no_guards_no_rows_and_unknown_names_are_refused(world: tuple[Path, Path]) -> None:
    refs = lf.load_table(world[1])
    assert lf.Pipeline(world[0], {"guards": (), "setups": ("bmode",)}).process(refs[0]).guards == []
    with pytest.raises(ConfigError, match="unknown guard 'leak'"):
        lf.Pipeline(world[0], {"guards": ("leak",)})
