"""Values: B-mode, shear wave with units and holes, labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest

from layer_fast.errors import ConfigError, ReadError
from layer_fast.io import read, read_labels


def put(path: Path, image: np.ndarray[Any, Any]) -> Path:
    kind = image.dtype.str[1:]
    raw = hostile.nifti(data=image.tobytes(), datatype=hostile.CODES[kind], bitpix=8 * image.dtype.itemsize)
    path.write_bytes(raw)
    return path


def speeds() -> np.ndarray[Any, Any]:
    image = hostile.voxels("f4") / np.float32(20)
    image[0, 0, :3] = np.nan
    return image


def code_of(*args: Any, reader: Any = read, **options: Any) -> str:
    with pytest.raises(ReadError) as caught:
        reader(*args, **options)
    return caught.value.code


def test_speed_keeps_its_holes(tmp_path: Path) -> None:
    found = read(put(tmp_path / "a.nii", speeds()), modality="swe", unit="m/s")
    assert found.array.dtype == np.float32
    assert np.array_equal(found.array, speeds(), equal_nan=True)
    assert found.modality == "swe"
    assert found.flags == ()


def test_kpa_becomes_speed(tmp_path: Path) -> None:
    image = speeds()
    image[1, 1, 1] = 12.0  # 12 kPa = 3 * 1000 kg/m^3 * (2 m/s)^2
    found = read(put(tmp_path / "a.nii", image), modality="swe", unit="kPa")
    assert found.array[1, 1, 1] == 2.0
    assert np.array_equal(np.isnan(found.array), np.isnan(image))
    assert found.flags == ("swe_from_kpa",)


@pytest.mark.parametrize("unit", [None, "", "kpa", "m s-1", "cm/s"])
def test_unit_must_be_stated(unit: str | None, tmp_path: Path) -> None:
    assert code_of(put(tmp_path / "a.nii", speeds()), modality="swe", unit=unit) == "swe_unit"


def test_speeds_that_cannot_be(tmp_path: Path) -> None:
    for value, code in ((-0.1, "swe_negative"), (np.inf, "non_finite"), (-np.inf, "non_finite")):
        image = speeds()
        image[2, 2, 2] = value
        assert code_of(put(tmp_path / "a.nii", image), modality="swe", unit="m/s") == code
    nothing = np.full((5, 6, 7), np.nan, np.float32)
    assert code_of(put(tmp_path / "a.nii", nothing), modality="swe", unit="m/s") == "no_valid_voxels"
    one = np.where(np.isnan(speeds()), np.nan, np.float32(2)).astype(np.float32)
    assert code_of(put(tmp_path / "a.nii", one), modality="swe", unit="m/s") == "constant"


def test_speed_that_float32_cannot_hold(tmp_path: Path) -> None:
    image = speeds().astype("f8")
    image[2, 2, 2] = 1e300
    for unit in ("m/s", "kPa"):
        assert code_of(put(tmp_path / "a.nii", image), modality="swe", unit=unit) == "non_finite"


def test_speeds_that_are_suspicious(tmp_path: Path) -> None:
    image = speeds()
    image[3, 3, 3] = 0
    assert read(put(tmp_path / "a.nii", image), modality="swe", unit="m/s").flags == ("swe_zeros",)
    image = speeds()
    image[3, 3, 3] = 20.5
    assert read(put(tmp_path / "a.nii", image), modality="swe", unit="m/s").flags == ("swe_above_20_m_s",)
    whole = hostile.voxels("u2")
    assert read(put(tmp_path / "a.nii", whole), modality="swe", unit="kPa").array.dtype == np.float32


def test_bmode_has_no_holes(tmp_path: Path) -> None:
    path = put(tmp_path / "a.nii", speeds())
    with pytest.raises(ReadError, match="3 voxels are NaN and 0 infinite, of 210"):
        read(path)


def test_a_map_may_be_constant(tmp_path: Path) -> None:
    path = put(tmp_path / "a.nii", np.zeros((5, 6, 7), np.float32))
    assert read(path, modality="map").modality == "map"
    assert code_of(path) == "constant"
    assert code_of(put(tmp_path / "a.nii", speeds()), modality="map") == "non_finite"


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "u2", "f4", "f8"])
def test_labels(kind: str, tmp_path: Path) -> None:
    image = (hostile.voxels() % 7).astype(kind)
    found = read_labels(put(tmp_path / "a.nii", image))
    assert found.array.dtype == np.uint8
    assert found.modality == "labels"
    assert np.array_equal(found.array, image)


@pytest.mark.parametrize("value", [7, 255, -1, 2.5, 1e9])
def test_labels_that_cannot_be_list_what_was_found(value: float, tmp_path: Path) -> None:
    image = (hostile.voxels() % 3).astype("f8")
    image[0, 0, 0] = value
    with pytest.raises(ReadError, match=f"found .*{value:g}".replace("+", r"\+")) as caught:
        read_labels(put(tmp_path / "a.nii", image))
    assert caught.value.code == "label_values"


def test_label_holes_and_empty_masks(tmp_path: Path) -> None:
    assert code_of(put(tmp_path / "a.nii", speeds()), reader=read_labels) == "non_finite"
    assert read_labels(put(tmp_path / "a.nii", np.zeros((5, 6, 7), "u1"))).flags == ("labels_empty",)
    assert read_labels(put(tmp_path / "a.nii", np.full((5, 6, 7), 6, "u1"))).flags == ("labels_constant",)


def test_many_wrong_labels_are_listed_briefly(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"\.\.\. \(120 in all\)"):
        read_labels(put(tmp_path / "a.nii", hostile.voxels()))


def test_arguments_that_contradict_each_other(tmp_path: Path) -> None:
    path = put(tmp_path / "a.nii", hostile.voxels())
    with pytest.raises(ConfigError, match="goes with modality='swe'"):
        read(path, unit="m/s")
    with pytest.raises(ConfigError, match="read_labels"):
        read(path, modality="labels")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="pixel_mm"):
        read(path, pixel_mm=(0.1, 0.1))


def test_text_quotes_no_header_text(tmp_path: Path) -> None:
    raw = bytearray(hostile.nifti(datatype=1))
    raw[148:168] = b"Doe^Jane 1980-01-01\0"
    (tmp_path / "a.nii").write_bytes(raw)
    with pytest.raises(ReadError) as caught:
        read(tmp_path / "a.nii")
    assert "Doe" not in str(caught.value)
