"""Files that a run does not use cost it nothing; pictures that were damaged since are made anew."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import layer_fast as lf
import tiny
from layer_fast.cohort import run_cohort
from layer_fast.errors import ConfigError, LayerFastError
from layer_fast.report.slices import read_picture, read_pictures
from layer_fast.steps import donors
from tiny import rows

ONLY: dict[str, Any] = {"setups": ("bmode",), "methods": ("gradcam",)}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_models(tmp_path_factory.mktemp("models") / "tiny", ("bmode",))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Four scans with masks; that of the second is no mask, that of the third lies elsewhere, the fourth is gone."""
    table = tiny.write_cohort(tmp_path / "c", 4, masks=True)
    (table.parent / "m1.nii.gz").write_bytes(b"nothing")
    tiny.write_volume(table.parent / "m2.nii.gz", tiny.labels()[:, 1:])
    (table.parent / "m3.nii.gz").unlink()
    return table


def test_given_masks_are_not_opened_where_the_segmenters_are_asked_for(
    models: Path, table: Path, tmp_path: Path
) -> None:
    model = {**ONLY, "mask": "model"}
    assert run_cohort(table, models, tmp_path / "given", ONLY).counts == {"ok": 1, "quarantined": 3}
    assert run_cohort(table, models, tmp_path / "model", model).counts == {"ok": 4}
    scans = rows(tmp_path / "model", "scans")
    assert {(r["mask"], r["sha256_mask"]) for r in scans} == {("model:tiny_segmenter_bmode", None)}
    shutil.copy(table.parent / "m0.nii.gz", table.parent / "m1.nii.gz")
    assert run_cohort(table, models, tmp_path / "model", model).reused == 4, "what is not used moves no key"
    statuses = [lf.Pipeline(models, model).process(ref).status for ref in lf.load_table(table)]
    assert statuses == ["ok"] * 4


def test_a_guard_that_compares_masks_reads_them(models: Path, table: Path, tmp_path: Path) -> None:
    asked = {**ONLY, "mask": "model", "guards": ("mask_perturbation",)}
    run = run_cohort(table, models, tmp_path / "out", asked)
    assert run.counts == {"ok": 1, "quarantined": 3}
    assert "rater:manual" in {r["variant"] for r in rows(tmp_path / "out", "guards")}


def test_donors_keep_their_masks_whatever_the_run_takes(models: Path, tmp_path: Path) -> None:
    table = tiny.write_cohort(tmp_path / "c", 4, masks=True)
    options = {"setups": ("bmode",), "methods": ("layer_shapley",), "fills": ("donor",), "donors": str(table)}
    found = lf.Pipeline(models, {**options, "mask": "model"}).donors
    assert found is not None
    assert len(found.subjects) == 4


def test_more_donors_than_memory_holds_are_refused_by_number(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tiny.write_cohort(tmp_path / "c", 6, masks=True)
    options = {"setups": ("bmode",), "methods": ("layer_shapley",), "fills": ("donor",), "donors": str(table)}
    each = tiny.labels().size * (4 + 1)  # one float32 channel and its labels
    monkeypatch.setattr(donors, "MAX_BYTES", 6 * each)
    assert lf.Pipeline(models, options).donors is not None
    monkeypatch.setattr(donors, "MAX_BYTES", 5 * each)
    with pytest.raises(ConfigError, match=r"cohort\.csv: expected at most 5 donors.*found 6"):
        lf.Pipeline(models, options)


@pytest.mark.parametrize("damage", ["cut", "flipped", "other"])
def test_a_damaged_picture_is_named_by_the_report_and_made_anew_by_the_run(
    models: Path, tmp_path: Path, damage: str
) -> None:
    table = tiny.write_cohort(tmp_path / "c", 4)
    run_cohort(table, models, tmp_path / "out", ONLY)
    path = sorted((tmp_path / "out" / "pictures").glob("*.npz"))[1]
    whole = path.read_bytes()
    half = len(whole) // 2
    path.write_bytes({"cut": whole[:-40], "flipped": whole[:half] + bytes([whole[half] ^ 255]) + whole[half + 1 :],
                      "other": b"PK\3\4"}[damage])  # fmt: skip
    chosen = json.loads((tmp_path / "out" / "examples.json").read_text())
    with pytest.raises(LayerFastError, match=path.name):
        read_pictures(path.parent, chosen)
    run = run_cohort(table, models, tmp_path / "out", ONLY)
    assert (run.counts, run.reused) == ({"ok": 4}, 4)
    assert path.read_bytes() == whole
    assert len(read_pictures(path.parent, chosen)) == len(list(path.parent.glob("*.npz")))


def test_a_picture_of_another_kind_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", bmode=np.zeros((4, 5), np.uint8))
    with pytest.raises(LayerFastError, match=r"a\.npz: expected an array labels"):
        read_picture(tmp_path / "a.npz")


def test_a_stopped_run_does_not_wait_for_a_check_of_its_models(models: Path, tmp_path: Path) -> None:
    table = tiny.write_cohort(tmp_path / "c", 4)
    options = {**ONLY, "guards": ("randomisation",)}
    run_cohort(table, models, tmp_path / "out", options)
    assert (tmp_path / "out" / "randomisation.json").exists()
    stop = threading.Event()
    stop.set()
    run_cohort(table, models, tmp_path / "out", options, stop=stop)
    assert not (tmp_path / "out" / "randomisation.json").exists(), "an older one may be of other models"
