"""Where a flow usually goes wrong without a word: another scale, another axis, a smaller box, a corrected unit, a
member that saw the subject, a stop at the wrong moment."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import layer_fast as lf
import tiny
import tolerances
from layer_fast.cohort import run_cohort
from layer_fast.errors import ConfigError
from layer_fast.steps.read import outside
from layer_fast.types import Failure
from tiny import rows


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_models(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tiny.write_cohort(tmp_path / "c", 4)


def volume(array: NDArray[Any], modality: Any = "bmode", offset_mm: float = 0.0) -> lf.Volume:
    affine = np.diag([*tiny.SPACING, 1.0])
    affine[1, 3] = offset_mm
    return lf.Volume(array, affine, tiny.SPACING, modality)


def scan(bmode: NDArray[Any], **more: Any) -> lf.Scan:
    return lf.Scan(lf.ScanRef("one", "p"), {"bmode": volume(bmode)}, more.get("masks", {}), {"bmode": "0" * 64})


@pytest.mark.parametrize(
    ("name", "change", "flag"),
    [
        ("0..1 floats", lambda b: (b / 255).astype(np.float32), "intensity_scale"),
        ("12 bits", lambda b: b.astype(np.uint16) * 16, "intensity_scale"),
        ("upside down", lambda b: b[:, ::-1].copy(), "layers_out_of_order"),
        ("a layer is missing", lambda b: np.where(tiny.labels() == 3, 0, b).astype(np.uint8), "layers_absent"),
    ],
)
def test_a_scan_the_model_was_not_made_for_is_not_ok(models: Path, name: str, change: Any, flag: str) -> None:
    pipeline = lf.Pipeline(models)
    assert pipeline.process(scan(tiny.bmode(0))).status == "ok"
    record = pipeline.process(scan(change(tiny.bmode(0))))
    assert record.status == "ok_degraded", name
    assert any(f.startswith(flag) for f in record.flags)


def test_nothing_is_invented_outside_a_smaller_shear_wave_box(models: Path) -> None:
    """The box covers the upper half in depth; below it nothing was measured."""
    half = tiny.GRID[1] // 2
    box = volume(tiny.swe(1)[:, :half].copy(), "swe")
    whole = scan(tiny.bmode(0))
    held = lf.Scan(whole.ref, {**whole.volumes, "swe": box}, {}, {"bmode": "0" * 64, "swe": "1" * 64})
    assert lf.Pipeline(models).process(held).code == "geometry_mismatch"
    record = lf.Pipeline(models, {"geometry": "resample"}).process(held)
    assert [flag for flag in record.flags if "swe" in flag] == ["resample:swe", "partly_outside:swe"]
    assert record.scan["swe_valid_fraction"] == pytest.approx(np.isfinite(box.array).sum() / tiny.bmode(0).size)


def test_outside_is_half_a_voxel_beyond_the_last_centre() -> None:
    shift = np.eye(4)
    shift[2, 3] = -0.6
    assert outside((2, 2, 4), (2, 2, 4), np.eye(4)).sum() == 0
    assert outside((2, 2, 4), (2, 2, 4), shift)[0, 0].tolist() == [True, False, False, False]


def test_a_corrected_unit_is_run_again(models: Path, table: Path, tmp_path: Path) -> None:
    run_cohort(table, models, tmp_path / "out")
    before = [r["margin_swe"] for r in rows(tmp_path / "out", "scans")]
    table.write_text(table.read_text().replace("m/s", "kPa"))
    assert run_cohort(table, models, tmp_path / "out").reused == 0
    assert [r["margin_swe"] for r in rows(tmp_path / "out", "scans")] != before


def test_a_stopped_run_does_not_sell_old_numbers(models: Path, table: Path, tmp_path: Path) -> None:
    run_cohort(table, models, tmp_path / "out")
    tiny.write_volume(table.parent / "b3.nii.gz", tiny.bmode(77))
    stop = threading.Event()
    stop.set()
    run = run_cohort(table, models, tmp_path / "out", stop=stop)
    assert (run.complete, run.counts) == (False, {"ok": 3, "pending": 1})


def test_files_of_the_user_survive_and_pictures_follow_the_table(models: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_cohort(table, models, out)
    mine = [out / "pictures" / "mine.npz", out / ".mine.tmp", out / "pictures" / ".run.json.1.tmp"]
    for path in mine:
        path.write_bytes(b"mine")
    table.write_text(table.read_text().replace("control", "healthy"))
    (table.parent / "b0.nii.gz").write_bytes(b"broken")
    assert run_cohort(table, models, out).counts == {"ok": 3, "quarantined": 1}
    assert all(path.is_file() for path in mine)
    held = {str(np.load(p, allow_pickle=False)["scan_id"]) for p in (out / "pictures").glob("*.npz") if p not in mine}
    found = json.loads((out / "examples.json").read_text())
    assert held == {scan["scan_id"] for scan in found["scans"]} <= {"s002", "s003"}, "no scan is a control any more"
    assert {scan["label"] for scan in found["scans"]} == {"case"}


def test_exposure_is_each_members_own(models: Path, table: Path, tmp_path: Path) -> None:
    two = tmp_path / "two"
    shutil.copytree(models, two)
    shutil.copytree(two / "bmode", two / "bmode1")
    manifest = json.loads((two / "bmode1" / "manifest.json").read_text())
    manifest["member"] = "1"
    manifest["training_subjects"]["hashes"] = [lf.models.subject_hash(manifest["training_subjects"]["salt"], "p00")]
    (two / "bmode1" / "manifest.json").write_text(json.dumps(manifest))
    run_cohort(table, two, tmp_path / "out", {"setups": ("bmode",)})
    found = {(r["subject"], r["member"], r["exposure"]) for r in rows(tmp_path / "out", "layers")}
    assert found == {("p00", "0", "unseen"), ("p00", "1", "seen"), ("p01", "0", "unseen"), ("p01", "1", "unseen")}
    assert {r["subject"]: r["exposure"] for r in rows(tmp_path / "out", "scans")} == {"p00": "seen", "p01": "unseen"}


def test_the_picture_of_an_ensemble_is_its_mean(models: Path, table: Path, tmp_path: Path) -> None:
    two = tmp_path / "two"
    shutil.copytree(models, two)
    shutil.copytree(two / "bmode", two / "bmode1")
    manifest = json.loads((two / "bmode1" / "manifest.json").read_text())
    manifest |= {"member": "1", "target": {"positive": "case", "negative": "control"}, "cam_tensor": "conv"}
    (two / "bmode1" / "manifest.json").write_text(json.dumps(manifest))

    def maps(folder: Path) -> dict[str, NDArray[Any]]:
        pipeline = lf.Pipeline(folder, {"setups": ("bmode",), "methods": ("gradcam",)})
        found = pipeline.pictures(lf.load_table(table), "gradcam")
        return {one.scan_id: one.arrays["map_bmode"] for one in found if not isinstance(one, Failure)}

    both, first = maps(two), maps(models)
    (two / "bmode" / "manifest.json").unlink()
    second = maps(two)
    assert len(both) == 4
    for scan_id, found in both.items():
        assert not np.array_equal(first[scan_id], second[scan_id])
        np.testing.assert_allclose(found, (first[scan_id] + second[scan_id]) / 2, tolerances.ENGINE_RTOL)


def test_a_volume_is_measured_and_resampled_once_for_all_models(
    models: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Segmenter and three classifiers see two volumes on one grid."""
    calls: list[str] = []
    for name in ("resample", "intensity_stats"):
        real = getattr(lf.ops, name)
        monkeypatch.setattr(lf.ops, name, lambda *a, _f=real, _n=name, **k: calls.append(_n) or _f(*a, **k))
    assert lf.Pipeline(models).process(lf.load_table(table)[0]).status == "ok"
    assert sorted(calls) == ["intensity_stats"] * 2 + ["resample"] * 2


def test_what_cannot_run_is_refused_before_the_first_scan(models: Path, tmp_path: Path) -> None:
    only = tmp_path / "only"
    shutil.copytree(models / "segmenter", only / "segmenter")
    with pytest.raises(ConfigError, match="hold classifiers for none"):
        lf.Pipeline(only)
    with pytest.raises(ConfigError, match="resolution_mm"):
        lf.Pipeline(models, {"resolution_mm": {"ct": 1.0}})
    assert lf.Pipeline(models, {"resolution_mm": {"bmode": 0.1}}).config.resolution_mm == {"bmode": 0.1, "swe": 1.5}
    broken = tmp_path / "broken"
    shutil.copytree(models, broken)
    manifest = json.loads((broken / "bmode" / "manifest.json").read_text())
    manifest["cam_tensor"] = "flat"
    (broken / "bmode" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(lf.ModelError):
        lf.Pipeline(broken)


def test_a_scan_that_no_model_takes_is_the_tables_fault(models: Path, tmp_path: Path) -> None:
    table = tiny.write_cohort(tmp_path / "c", 2)
    table.write_text("\n".join(line.replace("b1.nii.gz", "") for line in table.read_text().splitlines()) + "\n")
    refs = lf.load_table(table)
    no_mask = lf.Pipeline(models).process(refs[1])
    assert (no_mask.status, no_mask.code) == ("quarantined", "modality_missing"), "the segmenter needs B-mode"
    swe_only = lf.Pipeline(models, {"setups": ("swe",)}).process(scan(tiny.bmode(0)))
    assert (swe_only.status, swe_only.code) == ("quarantined", "no_setup")


def test_a_mask_in_memory_is_used(models: Path) -> None:
    mask = volume(tiny.labels().copy(), "labels")
    record = lf.Pipeline(models).process(scan(tiny.bmode(0), masks={"manual": mask}))
    assert record.scan["mask"] == "manual"


def test_one_scan_id_twice_is_refused(models: Path, table: Path, tmp_path: Path) -> None:
    refs = lf.load_table(table)
    with pytest.raises(lf.TableError, match="s001"):
        run_cohort([*refs, refs[1]], models, tmp_path / "out")
