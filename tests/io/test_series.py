"""Files of several channels: the same strict contract, and what lies about its size is refused before any memory."""

from __future__ import annotations

from pathlib import Path

import hostile
import numpy as np
import pytest

from layer_fast.errors import ReadError
from layer_fast.io import read, read_maps, read_mask

NAMES = {0: "background", 1: "skin", 120: "bone"}


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dim", [(4, 7, 6, 5, 3, 1, 1, 1), (5, 7, 6, 5, 1, 3, 1, 1)])
def test_channels_lie_one_behind_the_other(dim: tuple[int, ...], suffix: str, tmp_path: Path) -> None:
    image = hostile.voxels("f4", (3, 5, 6, 7))
    raw = hostile.nifti(data=image.tobytes(), dim=dim, datatype=16, bitpix=32)
    found = read_maps(put(tmp_path / f"a{suffix}", hostile.packed(raw) if suffix == ".nii.gz" else raw))
    assert np.array_equal(np.stack([volume.array for volume in found]), image)
    assert all(volume.spacing_mm == pytest.approx((1.5, 0.25, 0.6), rel=1e-6) for volume in found)
    assert len({volume.sha256 for volume in found}) == 1


def test_one_volume_is_one_map(tmp_path: Path) -> None:
    path = put(tmp_path / "a.nii", hostile.nifti(dim=(4, 7, 6, 5, 1, 1, 1, 1)))
    (found,) = read_maps(path)
    assert np.array_equal(found.array, read(path).array)
    assert found.modality == "map"


@pytest.mark.parametrize(
    ("code", "dim", "data"),
    [
        ("truncated", (4, 7, 6, 5, 3, 1, 1, 1), hostile.voxels().tobytes() * 2),
        ("longer_than_claimed", (4, 7, 6, 5, 2, 1, 1, 1), hostile.voxels().tobytes() * 50),
        ("too_large", (4, 4096, 4096, 4096, 32767, 1, 1, 1), b""),
        ("not_3d", (5, 7, 6, 5, 2, 2, 1, 1), hostile.voxels().tobytes() * 4),
        ("dim_size", (4, 7, 6, 5, 0, 1, 1, 1), hostile.voxels().tobytes()),
        ("dim_size", (4, 7, 6, 5, -2, 1, 1, 1), hostile.voxels().tobytes()),
    ],
)
def test_lies_about_channels(code: str, dim: tuple[int, ...], data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ReadError) as caught:
        read_maps(put(tmp_path / "a.nii", hostile.nifti(dim=dim, data=data)))
    assert caught.value.code == code
    assert "a.nii" in str(caught.value)


@pytest.mark.parametrize("bad", [f.name for f in hostile.FAULTS if f.code not in ("not_3d",)][:60])
def test_the_corpus_of_lies_is_refused_here_too(bad: str, tmp_path: Path) -> None:
    fault = next(f for f in hostile.FAULTS if f.name == bad)
    with pytest.raises(ReadError) as caught:
        read_maps(put(tmp_path / f"a{fault.suffix}", fault.make()))
    assert caught.value.code == fault.code


def test_masks_of_another_scheme(tmp_path: Path) -> None:
    labels = np.where(hostile.voxels() > 60, 120, hostile.voxels() % 2).astype(np.uint8)
    (found,) = read_mask(put(tmp_path / "a.nii", hostile.nifti(data=labels.tobytes())), NAMES)
    assert np.array_equal(found.array, labels)
    assert found.modality == "labels"
    labels[0, 0, 0] = 7
    with pytest.raises(ReadError, match=r"expected whole numbers .0 background, 1 skin, 120 bone., found 0, 1, 7, 120"):
        read_mask(put(tmp_path / "b.nii", hostile.nifti(data=labels.tobytes())), NAMES)
