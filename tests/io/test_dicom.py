"""DICOM ultrasound: the real files that pydicom and pydicom-data ship, and small made ones that lie."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layer_fast.errors import ReadError
from layer_fast.io import read, read_labels, read_scan
from layer_fast.io.dicom import read_dicom
from layer_fast.types import ScanRef, Volume

pydicom = pytest.importorskip("pydicom", reason="the extra layer_fast[dicom] is not installed")


def real(name: str) -> Path:
    from pydicom.data import get_testdata_file

    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"{name}: pydicom-data is not installed")
    return Path(str(path))


def code_of(path: Path, **options: Any) -> str:
    with pytest.raises(ReadError) as caught:
        read(path, **options)
    return caught.value.code


@pytest.fixture(scope="module")
def cine() -> Volume:
    return read(real("color3d_jpeg_baseline.dcm"), crop_to_region=True)


def test_cine_is_frames_and_never_depth(cine: Volume) -> None:
    assert cine.kind == "frames"
    assert cine.array.shape == (120, 384, 512)
    assert cine.array.dtype == np.uint8
    assert np.isnan(cine.spacing_mm[0])
    assert cine.spacing_mm[1:] == pytest.approx((0.5104970559, 0.5104970559))
    assert {"frames_not_volume", "cropped_to_region", "orientation_unknown"} <= set(cine.flags)
    assert "colour_overlay" not in cine.flags


def test_cine_affine_is_finite_and_starts_at_the_region(cine: Volume) -> None:
    assert np.isfinite(cine.affine).all()
    assert not cine.affine[:3, 0].any()
    dy, dx = cine.spacing_mm[1:]
    assert cine.affine @ [50, 1, 2, 1] == pytest.approx([(84 + 2) * dx, (31 + 1) * dy, 0, 1])


def test_luminance_of_the_cine_is_the_stored_one(cine: Volume) -> None:
    dataset = pydicom.dcmread(real("color3d_jpeg_baseline.dcm"))
    from pydicom.pixels.utils import iter_pixels

    first = next(iter(iter_pixels(dataset, raw=True)))
    stored = first[31:415, 84:596, 0].astype(int)
    difference = np.abs(cine.array[0] - stored)
    assert np.mean(difference > 1) < 1e-3  # by way of RGB: two roundings, and clipping of near-black chroma noise
    assert difference.max() < 16


@pytest.mark.parametrize("name", ["US1_UNCR.dcm", "examples_rgb_color.dcm"])
def test_musculoskeletal_picture(name: str) -> None:
    found = read(real(name))
    assert found.kind == "volume"
    assert found.array.shape in ((1, 480, 640), (1, 240, 320))
    assert found.array.std() > 10
    assert np.isnan(found.spacing_mm).all()
    assert np.isfinite(found.affine).all()
    assert {"single_slice", "spacing_unknown", "colour_overlay", "whole_picture"} <= set(found.flags)


def test_pixel_size_may_be_stated_where_the_file_does_not(tmp_path: Path) -> None:
    path = real("US1_UNCR.dcm")
    assert read(path, pixel_mm=(0.1, 0.12)).spacing_mm[1:] == (0.1, 0.12)
    assert "spacing_stated" in read(path, pixel_mm=(0.1, 0.12)).flags
    ref = ScanRef("s1", "p1", bmode=path, strata={"pixel_spacing_mm": "0.1 x 0.12"})
    assert read_scan(ref).grid.spacing_mm[1:] == (0.1, 0.12)
    assert "bmode:spacing_stated" in read_scan(ref).flags


def test_grey_picture_and_two_regions() -> None:
    grey = read(real("JPGLosslessP14SV1_1s_1f_8b.dcm"))
    assert grey.spacing_mm[1:] == pytest.approx((0.25476696, 0.25476696))
    assert "colour_overlay" not in grey.flags
    two = read(real("gdcm-US-ALOKA-16.dcm"))
    assert "several_regions" in two.flags
    assert two.array.dtype == np.uint8
    assert code_of(real("gdcm-US-ALOKA-16.dcm"), crop_to_region=True) == "region_count"
    frames = read(real("OBXXXX1A_2frame.dcm"))
    assert frames.kind == "frames"
    assert frames.array.shape == (2, 600, 800)


@pytest.mark.parametrize("name", ["examples_ybr_color.dcm", "examples_palette.dcm"])
def test_regions_larger_than_the_picture(name: str) -> None:
    assert code_of(real(name)) == "region_outside_picture"


def test_other_dicom_is_refused() -> None:
    assert code_of(real("CT_small.dcm")) == "not_ultrasound"
    assert code_of(real("image_dfl.dcm")) == "dicom_deflated"
    assert code_of(real("US1_UNCR.dcm"), modality="swe", unit="m/s") == "picture_not_measurement"
    with pytest.raises(ReadError, match="picture_not_measurement"):
        read_labels(real("US1_UNCR.dcm"))


def test_nothing_of_the_patient_is_kept(cine: Volume) -> None:
    dataset = pydicom.dcmread(real("US1_UNCR.dcm"))
    text = repr(read(real("US1_UNCR.dcm")))
    assert str(dataset.get("PatientName", "none")) not in text
    assert set(Volume.__slots__) == {"array", "affine", "spacing_mm", "modality", "kind", "flags", "sha256"}


def region(**changes: Any) -> Any:
    item = pydicom.Dataset()
    values = {
        "RegionSpatialFormat": 1, "RegionDataType": 1, "RegionLocationMinX0": 0, "RegionLocationMinY0": 0,
        "RegionLocationMaxX1": 9, "RegionLocationMaxY1": 7, "PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3,
        "PhysicalDeltaX": 0.02, "PhysicalDeltaY": 0.03, **changes,
    }  # fmt: skip
    for key, value in values.items():
        setattr(item, key, value)
    return item


def made(path: Path, regions: list[Any] | None = None, **changes: Any) -> Path:
    """An uncompressed 8 x 10 grey picture."""
    dataset = pydicom.Dataset()
    pixels = np.random.default_rng(0).integers(0, 255, (8, 10), dtype=np.uint8)
    values = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1", "SOPInstanceUID": "1.2.3", "PatientName": "Doe^Jane", "Rows": 8,
        "Columns": 10, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 8,
        "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0, "PixelData": pixels.tobytes(),
        "SequenceOfUltrasoundRegions": [region()] if regions is None else regions, **changes,
    }  # fmt: skip
    for key, value in values.items():
        setattr(dataset, key, value)
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_made_picture(tmp_path: Path) -> None:
    found = read(made(tmp_path / "a.dcm"))
    assert found.spacing_mm[1:] == pytest.approx((0.3, 0.2))
    assert np.array_equal(found.array, np.random.default_rng(0).integers(0, 255, (1, 8, 10), dtype=np.uint8))
    assert found.flags == ("single_slice", "orientation_unknown", "whole_picture")


FAULTS: list[tuple[str, list[Any] | None, dict[str, Any]]] = [
    ("enhanced_us_volume", None, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.2"}),
    ("not_ultrasound", None, {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}),
    ("region_outside_picture", [{"RegionLocationMaxX1": 11}], {}),
    ("region_outside_picture", [{"RegionLocationMinY0": 8, "RegionLocationMaxY1": 7}], {}),
    ("region_outside_picture", [{}, {"RegionSpatialFormat": 4, "RegionLocationMaxY1": 9}], {}),
    ("region_spacing", [{"PhysicalDeltaX": 0.0}], {}),
    ("region_spacing", [{"PhysicalDeltaY": -0.03}], {}),
    ("regions_differ", [{}, {"PhysicalDeltaX": 0.04}], {}),
    ("dim_too_large", None, {"Rows": 5000}),
    ("too_large", None, {"NumberOfFrames": 99_999, "Rows": 4000, "Columns": 4000}),
    ("dicom_pixels", None, {"PixelRepresentation": 1}),
    ("dicom_pixels", None, {"BitsAllocated": 32}),
    ("dicom_pixels", None, {"PhotometricInterpretation": "MONOCHROME1"}),
    ("dicom_damaged", None, {"NumberOfFrames": 3}),
    ("dicom_damaged", None, {"PixelData": b"\1\2"}),
    ("constant", None, {"PixelData": b"\7" * 80}),
]


@pytest.mark.parametrize(("code", "regions", "changes"), FAULTS, ids=lambda v: str(v)[:40])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_pictures_that_lie(code: str, regions: Any, changes: dict[str, Any], tmp_path: Path) -> None:
    items = None if regions is None else [region(**r) for r in regions]
    path = made(tmp_path / "a.dcm", items, **changes)
    with pytest.raises(ReadError) as caught:
        read(path)
    assert caught.value.code == code
    assert "Doe" not in str(caught.value)


def test_stated_and_found_pixel_sizes_must_agree(tmp_path: Path) -> None:
    path = made(tmp_path / "a.dcm")
    assert read(path, pixel_mm=(0.3, 0.2)).spacing_mm[1:] == pytest.approx((0.3, 0.2))
    for stated in ((0.2, 0.3), (float("nan"), 0.2), (-0.3, 0.2)):
        assert code_of(path, pixel_mm=stated) == "spacing_conflict"


def test_pixel_spacing_is_the_second_choice(tmp_path: Path) -> None:
    found = read(made(tmp_path / "a.dcm", [], PixelSpacing=[0.4, 0.5]))
    assert found.spacing_mm[1:] == (0.4, 0.5)
    assert "spacing_from_pixel_spacing" in found.flags


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_truncated_files_never_return_wrong_pixels(tmp_path: Path) -> None:
    whole = made(tmp_path / "a.dcm").read_bytes()
    for size in range(132, len(whole), 7):
        (tmp_path / "b.dcm").write_bytes(whole[:size])
        assert code_of(tmp_path / "b.dcm") in ("dicom_damaged", "not_ultrasound", "dicom_pixels")


def test_colour_is_weighed_by_bt601(tmp_path: Path) -> None:
    colours = np.zeros((8, 10, 3), np.uint8)
    colours[..., 0], colours[:4, :, 1], colours[:, :5, 2] = 200, 100, 50
    changes = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    path = made(tmp_path / "a.dcm", PixelData=colours.tobytes(), **changes)
    found = read_dicom(path)
    assert np.abs(found.array[0] - colours @ [0.299, 0.587, 0.114]).max() < 1
    assert "colour_overlay" in found.flags


def test_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "a.dcm")
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(ReadError, match=r"layer_fast\[dicom\]") as caught:
        read(path)
    assert caught.value.code == "dicom_extra_missing"


def test_bytes_without_a_dataset(tmp_path: Path) -> None:
    out = BytesIO(b"\0" * 128 + b"DICM")
    (tmp_path / "a.dcm").write_bytes(out.getvalue())
    assert code_of(tmp_path / "a.dcm") in ("dicom_damaged", "not_ultrasound")
