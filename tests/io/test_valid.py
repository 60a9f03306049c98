"""No false refusals: what the contract accepts is read, with the right values and flags."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import hostile
import nibabel as nib
import numpy as np
import pytest

from layer_fast.io import gzip, read
from layer_fast.types import Volume

IMAGE = hostile.voxels()


def put(path: Path, data: bytes) -> Volume:
    path.write_bytes(data)
    return read(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", hostile.CODES)
def test_every_dtype_in_both_byte_orders(kind: str, order: str, suffix: str, tmp_path: Path) -> None:
    dtype = np.dtype(order + kind)
    image = hostile.voxels(kind).astype(dtype)
    raw = hostile.nifti(order, image.tobytes(), datatype=hostile.CODES[kind], bitpix=8 * dtype.itemsize)
    found = put(tmp_path / f"a{suffix}", hostile.packed(raw) if suffix.endswith("gz") else raw)
    assert found.array.dtype == np.dtype(kind)
    assert found.array.dtype.isnative
    assert found.array.flags.c_contiguous
    assert np.array_equal(found.array, image)
    assert found.spacing_mm == pytest.approx((1.5, 0.25, 0.6), rel=1e-6)
    assert found.flags == ()


def test_axes_and_affine_agree_with_nibabel(tmp_path: Path) -> None:
    turn = np.array([[0.6, 0, 0, -2], [0, 0.2, -0.9, 3], [0, 0.15, 1.2, 4], [0, 0, 0, 1]])
    image = IMAGE.transpose(2, 1, 0)
    nib.save(nib.Nifti1Image(image, turn), tmp_path / "a.nii.gz")
    found = read(tmp_path / "a.nii.gz")
    theirs = nib.load(tmp_path / "a.nii.gz")
    assert np.array_equal(found.array, np.asarray(theirs.dataobj).T)
    for index in ((0, 0, 0), (4, 5, 6), (1, 2, 3)):
        assert found.affine @ [*index, 1] == pytest.approx(theirs.affine @ [*index[::-1], 1])
    assert found.flags == ("unit_unknown",)


@pytest.mark.parametrize("seed", range(10))
def test_qform_agrees_with_nibabel(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    q = rng.normal(size=4)
    b, c, d = (np.abs(q) / np.linalg.norm(q) * np.sign(q))[1:]
    data = hostile.nifti(
        qform_code=1, sform_code=0, quatern=(b, c, d), qoffset=tuple(rng.normal(size=3)),
        pixdim=(rng.choice([-1, 0, 1]), 0.6, 0.25, 1.5, 0, 0, 0, 0),
    )  # fmt: skip
    found = put(tmp_path / "a.nii", data)
    assert found.affine[:, [2, 1, 0, 3]] == pytest.approx(nib.load(tmp_path / "a.nii").affine, abs=1e-6)


@pytest.mark.parametrize("dim", [(4, 7, 6, 5, 1), (5, 7, 6, 5, 1, 1), (7, 7, 6, 5, 1, 1, 1, 1)])
def test_trailing_ones(dim: tuple[int, ...], tmp_path: Path) -> None:
    assert np.array_equal(put(tmp_path / "a.nii", hostile.nifti(dim=hostile.dims(*dim))).array, IMAGE)


def test_axes_of_one_voxel(tmp_path: Path) -> None:
    found = put(tmp_path / "a.nii", hostile.nifti(dim=hostile.dims(3, 210, 1, 1)))
    assert found.array.shape == (1, 1, 210)


@pytest.mark.parametrize(
    ("slope", "flag"), [(0.0, "slope_unset"), (hostile.NAN, "slope_not_finite"), (hostile.INF, "slope_not_finite")]
)
def test_slope_that_means_no_scaling(slope: float, flag: str, tmp_path: Path) -> None:
    found = put(tmp_path / "a.nii", hostile.nifti(scl_slope=slope, scl_inter=hostile.NAN))
    assert found.flags == (flag,)
    assert found.array.dtype == np.uint8
    assert np.array_equal(found.array, IMAGE)


def test_scaling_is_applied_in_float64_then_float32(tmp_path: Path) -> None:
    found = put(tmp_path / "a.nii", hostile.nifti(scl_slope=0.1, scl_inter=-3))
    assert found.array.dtype == np.float32
    assert np.array_equal(found.array, (IMAGE * np.float64(np.float32(0.1)) - 3).astype(np.float32))


RAW = hostile.nifti()
PACKED_VALID = {
    "levels": hostile.packed(RAW, 9),
    "stored": hostile.packed(RAW, 0),
    "two members": hostile.packed(RAW[:100]) + hostile.packed(RAW[100:]),
    "many members": b"".join(hostile.packed(RAW[i : i + 7]) for i in range(0, len(RAW), 7)),
    "an empty member first": hostile.packed(b"") + hostile.packed(RAW),
    "an empty member last": hostile.packed(RAW) + hostile.packed(b""),
    "equal members": hostile.packed(RAW[:352]) + hostile.packed(RAW[352:457]) + hostile.packed(RAW[457:]),
    "zero padding": hostile.packed(RAW) + bytes(512),
    "much zero padding": hostile.packed(RAW) + bytes(3 << 20),
    "padding between members": hostile.packed(RAW[:400]) + bytes(100) + hostile.packed(RAW[400:]),
    "name in the gzip header": b"\x1f\x8b\x08\x08" + hostile.packed(RAW)[4:10] + b"a.nii\0" + hostile.packed(RAW)[10:],
}


@pytest.mark.parametrize("name", PACKED_VALID)
def test_valid_gzip_streams(name: str, tmp_path: Path) -> None:
    found = put(tmp_path / "a.nii.gz", PACKED_VALID[name])
    assert np.array_equal(found.array, IMAGE)
    assert found.flags == ()


def test_identical_members(tmp_path: Path) -> None:
    half = os.urandom(3000)
    data, flags = gzip.inflate(hostile.packed(half) * 2, 6000, "a")
    assert data == half * 2
    assert flags == ()


def test_padding_and_garbage_are_told_apart(tmp_path: Path) -> None:
    assert put(tmp_path / "a.nii.gz", hostile.packed(RAW) + b"garbage").flags == ("gzip_trailing_garbage",)
    assert put(tmp_path / "a.nii.gz", hostile.packed(RAW + bytes(96))).flags == ("zero_padding",)
    assert put(tmp_path / "a.nii", RAW + bytes(302)).flags == ("zero_padding",)


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"xyzt_units": 0}, "unit_unknown"),
        ({"sform_code": 0}, "orientation_unknown"),
        ({"pixdim": (1, 0.7, 0.25, 1.5, 0, 0, 0, 0)}, "spacing_mismatch"),
        ({"qform_code": 1, "qoffset": (-2, 3, 4.1)}, "sform_qform_differ"),
    ],
)
def test_doubts_become_flags(changes: dict[str, object], flag: str, tmp_path: Path) -> None:
    assert put(tmp_path / "a.nii", hostile.nifti(**changes)).flags == (flag,)


def test_agreeing_forms_give_no_flag(tmp_path: Path) -> None:
    assert put(tmp_path / "a.nii", hostile.nifti(qform_code=1, qoffset=(-2, 3, 4))).flags == ()


@pytest.mark.parametrize("order", ["<", ">"])
def test_extensions_are_stepped_over(order: str, tmp_path: Path) -> None:
    chain = struct.pack(order + "ii", 16, 6) + bytes(8) + struct.pack(order + "ii", 32, 4) + bytes(24)
    raw = hostile.nifti(order, chain=chain, extension=b"\1\0\0\0", vox_offset=400)
    assert np.array_equal(put(tmp_path / "a.nii", raw).array, IMAGE)
    assert np.array_equal(put(tmp_path / "a.nii.gz", hostile.packed(raw)).array, IMAGE)
    far = hostile.nifti(order, chain=os.urandom(600_000), vox_offset=600_352)
    assert np.array_equal(put(tmp_path / "b.nii.gz", hostile.packed(far)).array, IMAGE)


def test_name_and_content_may_differ_and_it_is_said(tmp_path: Path) -> None:
    assert put(tmp_path / "a.nii", hostile.packed(RAW)).flags == ("extension_mismatch",)


def test_shear_on_request(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(hostile.nifti(srow_x=(0.6, 0.1, 0, 0)))
    assert "sheared" in read(tmp_path / "a.nii", allow_shear=True).flags
