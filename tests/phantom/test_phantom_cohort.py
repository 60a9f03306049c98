"""Files of a phantom cohort: what is written, reused, refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

import tolerances
from layer_fast.errors import ConfigError
from layer_fast.phantom import Effect, make_cohort, plan_cohort, render

SMALL = {"shape": (4, 64, 8), "spacing_mm": (3.0, 0.6, 3.0)}
EFFECT = Effect("deep_fat", "bmode", "mean", 5.0)
PLAN = {"subjects": 4, "scans_per_subject": 2, "seed": 9, "effects": (EFFECT,), **SMALL}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cohort(tmp_path_factory.mktemp("cohort") / "out", **PLAN)


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_table_has_the_columns_and_balanced_subjects(table: Path) -> None:
    found = rows(table)
    assert list(found[0]) == [
        "scan_id", "subject", "visit", "side", "site", "repeat", "bmode", "swe", "swe_unit", "mask",
        "label", "label_type", "label_unit", "fold", "age", "sex", "bmi",
    ]  # fmt: skip
    assert len(found) == 8
    label = {r["subject"]: r["label"] for r in found}
    assert sorted(label.values()) == ["case", "case", "control", "control"]
    for r in found:
        assert (r["swe_unit"], r["label_type"], r["label_unit"]) == ("m/s", "binary", "subject")
        assert r["scan_id"].startswith(r["subject"]) and r["label"] == label[r["subject"]]
        assert all((table.parent / r[column]).is_file() for column in ("bmode", "swe", "mask"))


def test_files_hold_the_rendered_voxels(table: Path) -> None:
    spec, row = plan_cohort(**PLAN)[3], rows(table)[3]
    scan = render(spec)
    assert row["scan_id"] == spec.scan_id and row["label"] == spec.label
    for column, wanted in (("bmode", scan.bmode), ("swe", scan.swe), ("mask", scan.labels)):
        image = nibabel.load(table.parent / row[column])
        assert image.get_data_dtype() == wanted.dtype
        np.testing.assert_array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), wanted)
        np.testing.assert_allclose(image.affine[:, [2, 1, 0, 3]], scan.affine, rtol=tolerances.NIFTI_AFFINE_RELATIVE)
        assert image.header.get_xyzt_units()[0] == "mm"
        assert image.header["qform_code"] == image.header["sform_code"] == 1


def test_truth_says_what_was_planted(table: Path) -> None:
    truth = json.loads((table.parent / "truth.json").read_text())
    assert truth["planted_layers"] == ["deep_fat"] and truth["swe_kernel"]["fwhm_mm"] == 1.5
    assert truth["parameters"]["effects"] == [{"layer": "deep_fat", "modality": "bmode", "kind": "mean", "size": 5.0}]
    assert {s["scan_id"]: s["is_case"] for s in truth["scans"]} == {
        r["scan_id"]: r["label"] == "case" for r in rows(table)
    }
    thickness = truth["scans"][0]["mean_thickness_mm"]
    assert abs(sum(thickness.values()) - 64 * 0.6) < 5.0 and thickness["muscle"] > 5.0


def test_bytes_are_the_same_twice_and_with_workers(table: Path, tmp_path: Path) -> None:
    again = make_cohort(tmp_path / "again", processes=1, **PLAN)
    assert everything(again.parent) == everything(table.parent)


def test_an_interrupted_cohort_is_finished_and_a_whole_one_reused(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        make_cohort(tmp_path / "c", progress=stop, **PLAN)
    assert not (tmp_path / "c" / "cohort.csv").exists()
    seen: list[tuple[int, int]] = []
    table = make_cohort(tmp_path / "c", progress=lambda done, total: seen.append((done, total)), **PLAN)
    assert seen == [(i, 8) for i in range(1, 9)]
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "c").rglob("*.nii.gz")}
    make_cohort(tmp_path / "c", **PLAN)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "c").rglob("*.nii.gz")} == before
    assert len(rows(table)) == 8


def test_other_content_is_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="other parameters \\(seed\\)"):
        make_cohort(table.parent, **{**PLAN, "seed": 10})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="not empty"):
        make_cohort(tmp_path / "mine", **PLAN)
    (tmp_path / "mine" / "truth.json").write_text("[1]")
    with pytest.raises(ConfigError, match="not empty"):
        make_cohort(tmp_path / "mine", **PLAN)
    with pytest.raises(ConfigError, match="is a file"):
        make_cohort(tmp_path / "mine" / "thesis.txt", **PLAN)
    assert sorted(p.name for p in (tmp_path / "mine").iterdir()) == ["thesis.txt", "truth.json"]
