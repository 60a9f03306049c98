"""Damaged files give an error or the very same voxels: 0 silent errors."""

from __future__ import annotations

import random
from pathlib import Path

import hostile
import numpy as np
import pytest

from layer_fast.errors import ReadError
from layer_fast.io import read

SHAPE = (12, 20, 16)
IMAGE = hostile.voxels("u1", SHAPE)
RAW = hostile.nifti(dim=hostile.dims(3, 16, 20, 12), data=IMAGE.tobytes())
PACKED = hostile.packed(RAW)


def outcome(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    try:
        found = read(path)
    except ReadError:
        return "refused"
    same = found.array.dtype == np.uint8 and np.array_equal(found.array, IMAGE)
    return (
        "same"
        if same and found.spacing_mm == READ.spacing_mm and np.array_equal(found.affine, READ.affine)
        else "wrong"
    )


@pytest.fixture(scope="module", autouse=True)
def _undamaged(tmp_path_factory: pytest.TempPathFactory) -> None:
    global READ
    path = tmp_path_factory.mktemp("whole") / "a.nii.gz"
    path.write_bytes(PACKED)
    READ = read(path)
    assert outcome(path, PACKED) == "same"


def test_bit_flips_of_a_compressed_file(tmp_path: Path) -> None:
    rng = random.Random(1)
    results = []
    for _ in range(200):
        data = bytearray(PACKED)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        results.append(outcome(tmp_path / "a.nii.gz", bytes(data)))
    assert results.count("wrong") == 0
    assert results.count("refused") >= 190  # the rest fell on bytes of the gzip header that mean nothing


def test_every_bit_of_the_gzip_header_and_footer(tmp_path: Path) -> None:
    results = []
    for at in (*range(10), *range(-8, 0)):
        for bit in range(8):
            data = bytearray(PACKED)
            data[at] ^= 1 << bit
            results.append(outcome(tmp_path / "a.nii.gz", bytes(data)))
    assert "wrong" not in results


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_truncations(name: str, tmp_path: Path) -> None:
    whole = PACKED if name.endswith("gz") else RAW
    rng = random.Random(2)
    lengths = [*(rng.randrange(len(whole)) for _ in range(56)), 0, 1, len(whole) - 8, len(whole) - 1]
    assert [outcome(tmp_path / name, whole[:n]) for n in lengths] == ["refused"] * 60


def test_a_member_cut_off_a_file_of_two(tmp_path: Path) -> None:
    both = hostile.packed(RAW[:1000]) + hostile.packed(RAW[1000:])
    path = tmp_path / "a.nii.gz"
    assert outcome(path, both) == "same"
    assert outcome(path, hostile.packed(RAW[:1000])) == "refused"
    assert all(outcome(path, both[:n]) == "refused" for n in range(len(both) - 40, len(both)))
