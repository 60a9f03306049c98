"""NIfTI out: readable by others, the same bytes every time, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from layer_fast import io
from layer_fast.io import read, write_nifti

AFFINE = np.array([[0, 0, 0.6, -3], [0, 0.25, 0, 2], [1.5, 0, 0, 7], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_round_trip_and_nibabel_agrees(kind: str, name: str, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 100, (3, 4, 5)).astype(kind)
    path = write_nifti(tmp_path / name, image, AFFINE)
    found = read(path)
    assert found.array.dtype == image.dtype
    assert np.array_equal(found.array, image)
    assert found.affine == pytest.approx(AFFINE, abs=1e-6)
    assert found.spacing_mm == pytest.approx((1.5, 0.25, 0.6), rel=1e-6)
    assert found.flags == ()
    theirs = nib.load(path)
    assert np.array_equal(np.asarray(theirs.dataobj).T, image)
    assert theirs.affine[:, [2, 1, 0, 3]] == pytest.approx(AFFINE, abs=1e-6)


def test_same_array_same_bytes(tmp_path: Path) -> None:
    image = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    first = write_nifti(tmp_path / "a.nii.gz", image, AFFINE).read_bytes()
    second = write_nifti(tmp_path / "b.nii.gz", np.asfortranarray(image), AFFINE).read_bytes()
    assert first == second
    assert first[3:8] == bytes(5)  # no name, no time


def test_nothing_is_left_behind_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_nifti(tmp_path / "a.nii", np.arange(8, dtype=np.uint8).reshape(2, 2, 2), AFFINE)
    old = path.read_bytes()

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_nifti(path, np.ones((2, 2, 2), np.uint8), AFFINE)
    assert path.read_bytes() == old
    with pytest.raises(io.reading.ReadError):
        read(tmp_path / "b.nii")


@pytest.mark.parametrize(
    ("array", "affine", "options", "piece"),
    [
        (np.ones((2, 2)), AFFINE, {}, "3 axes"),
        (np.ones((2, 2, 0)), AFFINE, {}, "3 axes"),
        (np.ones((2, 2, 2), np.float16), AFFINE, {}, "float16"),
        (np.ones((2, 2, 2), np.int64), AFFINE, {}, "int64"),
        (np.full((2, 2, 2), 300), AFFINE, {"dtype": "uint8"}, "do not fit"),
        (np.full((2, 2, 2), np.nan), AFFINE, {"dtype": "uint8"}, "do not fit"),
        (np.full((2, 2, 2), 0.5), AFFINE, {"dtype": "int16"}, "do not fit"),
        (np.ones((2, 2, 2), "u1"), np.zeros((4, 4)), {}, "invertible"),
        (np.ones((2, 2, 2), "u1"), np.full((4, 4), np.nan), {}, "finite"),
        (np.ones((2, 2, 2), "u1"), np.eye(3), {}, "4 x 4"),
    ],
)
def test_what_cannot_be_written(array: Any, affine: Any, options: Any, piece: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=piece):
        write_nifti(tmp_path / "a.nii", array, affine, **options)
    assert list(tmp_path.iterdir()) == []


def test_name_decides(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ending"):
        write_nifti(tmp_path / "a.img", np.ones((2, 2, 2), "u1"), AFFINE)


def test_dtype_is_converted_where_nothing_is_lost(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", np.arange(8).reshape(2, 2, 2), AFFINE, dtype="uint8")
    assert read(path).array.dtype == np.uint8
    path = write_nifti(tmp_path / "a.nii", np.arange(8).reshape(2, 2, 2) / 3, AFFINE, dtype="float32")
    assert read(path).array.dtype == np.float32
