"""The geometry policy, and a table's row read into memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from layer_fast.errors import ConfigError, ReadError, StepFailure
from layer_fast.io import geometry, read_scan, write_nifti
from layer_fast.types import ScanRef, Volume

AFFINE = np.array([[0, 0, 0.6, -3], [0, 0.25, 0, 2], [1.5, 0, 0, 7], [0, 0, 0, 1.0]])
RNG = np.random.default_rng(0)
BMODE = RNG.integers(0, 255, (5, 6, 7), dtype=np.uint8)
SPEED = RNG.uniform(1, 5, BMODE.shape).astype(np.float32)
LABELS = RNG.integers(0, 7, BMODE.shape, dtype=np.uint8)


def moved(mm: float, axis: int = 0) -> np.ndarray:
    affine = AFFINE.copy()
    affine[axis, 3] += mm
    return affine


def ref(folder: Path, *, mask_affine: np.ndarray = AFFINE, labels: np.ndarray = LABELS) -> ScanRef:
    bmode, swe, mask = folder / "b.nii.gz", folder / "s.nii", folder / "m.nii.gz"
    write_nifti(bmode, BMODE, AFFINE)
    write_nifti(swe, SPEED, AFFINE)
    write_nifti(mask, labels, mask_affine)
    return ScanRef("s1", "p1", bmode=bmode, swe=swe, swe_unit="m/s", masks={"manual:AB": mask})


def test_a_scan_on_one_grid(tmp_path: Path) -> None:
    scan = read_scan(ref(tmp_path))
    assert np.array_equal(scan.volumes["bmode"].array, BMODE)
    assert np.array_equal(scan.volumes["swe"].array, SPEED)
    assert np.array_equal(scan.masks["manual:AB"].array, LABELS)
    assert set(scan.input_sha256) == {"bmode", "swe", "mask:manual:AB"}
    assert scan.flags == ()
    assert geometry.grid_maps(scan) == {}


def test_within_tolerance_is_the_same_grid(tmp_path: Path) -> None:
    assert read_scan(ref(tmp_path, mask_affine=moved(0.04))).flags == ()
    read_scan(ref(tmp_path, mask_affine=moved(0.09)), tolerance_mm=0.1)
    with pytest.raises(StepFailure):
        read_scan(ref(tmp_path, mask_affine=moved(0.02)), tolerance_mm=0.01)


def test_mismatch_is_refused_with_the_distance(tmp_path: Path) -> None:
    with pytest.raises(StepFailure, match=r"mask:manual:AB.*up to 0\.500 mm.*0\.05 mm") as caught:
        read_scan(ref(tmp_path, mask_affine=moved(0.5)))
    assert caught.value.code == "geometry_mismatch"
    assert caught.value.input_at_fault


def test_rotation_is_seen_at_the_corners(tmp_path: Path) -> None:
    affine = AFFINE.copy()
    affine[:3, 0] += (0.02, 0, 0)  # 0.02 mm a slice: nothing at the origin, 0.08 mm four slices on
    with pytest.raises(ReadError, match="sheared"):
        read_scan(ref(tmp_path, mask_affine=affine))
    volume = Volume(LABELS, affine, (1.5, 0.25, 0.6), "labels")
    assert not geometry.same_grid(Volume(BMODE, AFFINE, (1.5, 0.25, 0.6), "bmode"), volume)


def test_other_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepFailure, match="expected 5 x 6 x 7 voxels, found 5 x 6 x 6"):
        read_scan(ref(tmp_path, labels=LABELS[:, :, :6]))


def test_resampling_is_left_to_the_caller_with_the_map(tmp_path: Path) -> None:
    scan = read_scan(ref(tmp_path, mask_affine=moved(1.5, axis=2)), geometry="resample")
    assert scan.flags == ("resample:mask:manual:AB",)
    (found,) = geometry.grid_maps(scan).values()
    assert found @ [2, 3, 4, 1] == pytest.approx([1, 3, 4, 1], abs=1e-6)


def test_grid_map_goes_from_target_to_source() -> None:
    coarse = Volume(BMODE, AFFINE @ np.diag([1, 2, 2, 1.0]), (1.5, 0.5, 1.2), "bmode")
    fine = Volume(BMODE, AFFINE, (1.5, 0.25, 0.6), "bmode")
    assert geometry.grid_map(coarse, fine) @ [1, 4, 2, 1] == pytest.approx([1, 2, 1, 1])


def test_frames_have_no_place_in_space() -> None:
    frames = Volume(BMODE, np.diag([0, 0.5, 0.5, 1.0]), (float("nan"), 0.5, 0.5), "bmode", kind="frames")
    other = Volume(BMODE, AFFINE, (1.5, 0.25, 0.6), "bmode")
    assert geometry.same_grid(frames, frames)
    for policy in ("refuse", "resample"):
        with pytest.raises(StepFailure, match="expected frames, found volume"):
            geometry.check(frames, other, "swe", policy=policy)


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="maybe"):
        read_scan(ref(tmp_path), geometry="maybe")  # type: ignore[arg-type]
    for value in (-0.1, float("nan"), 2.0):
        with pytest.raises(ConfigError, match="tolerance_mm"):
            read_scan(ref(tmp_path), tolerance_mm=value)


def test_scans_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(StepFailure) as none:
        read_scan(ScanRef("s1", "p1"))
    assert none.value.code == "no_volume"
    twice = ref(tmp_path)
    with pytest.raises(ReadError) as same:
        read_scan(ScanRef("s1", "p1", bmode=twice.swe, swe=twice.swe, swe_unit="m/s"))
    assert same.value.code == "same_file"
    with pytest.raises(ReadError) as absent:
        read_scan(ScanRef("s1", "p1", bmode=tmp_path / "no.nii"))
    assert absent.value.code == "not_found"


def test_shear_wave_alone_is_the_grid(tmp_path: Path) -> None:
    whole = ref(tmp_path)
    scan = read_scan(ScanRef("s1", "p1", swe=whole.swe, swe_unit="kPa", masks=whole.masks))
    assert scan.grid.modality == "swe"
    assert scan.flags == ("swe:swe_from_kpa",)


@pytest.mark.parametrize(
    ("kind", "working"),
    [("u1", "u1"), ("i1", "i2"), ("i2", "i2"), ("u2", "u2"), ("i4", "f4"), ("u4", "f4"), ("f4", "f4"), ("f8", "f4")],
)
def test_bmode_comes_in_a_dtype_that_the_ops_take(kind: str, working: str, tmp_path: Path) -> None:
    image = (BMODE // 3).astype(kind)
    path = write_nifti(tmp_path / "b.nii", image, AFFINE)
    found = read_scan(ScanRef("s1", "p1", bmode=path))
    assert found.grid.array.dtype == np.dtype(working)
    assert np.array_equal(found.grid.array, image)
    assert found.flags == ()


def test_rounding_is_said_and_overflow_refused(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "b.nii", BMODE / 3, AFFINE)
    assert read_scan(ScanRef("s1", "p1", bmode=path)).flags == ("bmode:rounded_to_float32",)
    write_nifti(path, BMODE * 1e300, AFFINE)
    with pytest.raises(ReadError, match="non_finite"):
        read_scan(ScanRef("s1", "p1", bmode=path))


def test_pixel_size_column(tmp_path: Path) -> None:
    whole = ref(tmp_path)  # NIfTI states its own geometry: the column is for pictures
    assert read_scan(ScanRef("s1", "p1", bmode=whole.bmode, strata={"pixel_spacing_mm": "9"})).flags == ()
