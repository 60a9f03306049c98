"""The whole flow on real ultrasound pictures that ship with pydicom: finite numbers, millimetres where the file has
them, and flags instead of confident nonsense. The reference models are for phantoms; nothing here is a finding."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import layer_fast as lf

pydicom_data = pytest.importorskip("pydicom.data", reason="the extra [dicom] is not installed")
CINE, PICTURE, LYING = "color3d_jpeg_baseline.dcm", "US1_UNCR.dcm", "examples_ybr_color.dcm"


@pytest.fixture(scope="module")
def pipeline() -> lf.Pipeline:
    return lf.Pipeline("reference", {"coalition_batch": 32})


def process(pipeline: lf.Pipeline, name: str) -> lf.ScanRecord:
    path = pydicom_data.get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"{name} is not installed (pydicom-data)")
    return pipeline.process(lf.ScanRef("real", "nobody", bmode=Path(path)))


@pytest.mark.parametrize("name", [CINE, PICTURE])
def test_numbers_are_finite_and_the_scan_is_flagged(pipeline: lf.Pipeline, name: str) -> None:
    record = process(pipeline, name)
    assert record.status == "ok_degraded", record.message
    assert "outside_model_domain" in record.flags
    assert {row["setup"] for row in record.layers} == {"bmode"}, "there is no shear wave to explain"
    assert math.isfinite(record.scan["margin_bmode"])
    for row in record.layers:
        if row["present"] and row["method"] == "gradcam":
            assert all(math.isfinite(row[c]) for c in ("sum", "mean", "std", "min", "max"))
        if row["present"] and row["method"] == "layer_shapley":
            assert math.isfinite(row["value"])


def test_a_cine_is_frames_and_has_no_volume(pipeline: lf.Pipeline) -> None:
    record = process(pipeline, CINE)
    assert "frames_not_volume" in record.flags
    assert record.scan["shape_z"] == 120
    assert record.scan["spacing_y_mm"] == pytest.approx(0.5105, abs=1e-4), "dx = dy = 0.05105 cm in the file"
    assert all(row["volume_mm3"] is None for row in record.layers)
    present = [row for row in record.layers if row["present"] and row["region_kind"] == "layer"]
    assert all(0 < row["thickness_mm"] < 480 * 0.52 for row in present)


def test_layers_that_are_not_there_are_said_to_be_absent(pipeline: lf.Pipeline) -> None:
    record = process(pipeline, CINE)
    absent = {row["region"] for row in record.layers if row["region_kind"] == "layer" and not row["present"]}
    named = {n for flag in record.flags if flag.startswith("layers_absent:") for n in flag.split(":")[1].split("+")}
    assert absent == named


def test_a_region_larger_than_the_picture_is_refused(pipeline: lf.Pipeline) -> None:
    record = process(pipeline, LYING)
    assert (record.status, record.code) == ("quarantined", "region_outside_picture")
