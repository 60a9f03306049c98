"""Opening files: what is not a plain, quiet, readable file is refused without waiting."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import tracemalloc
from pathlib import Path

import hostile
import numpy as np
import pytest

from layer_fast.errors import ReadError
from layer_fast.io import files, read


def code_of(path: Path) -> str:
    with pytest.raises(ReadError) as caught:
        read(path)
    return caught.value.code


def test_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.nii")
    assert code_of(tmp_path / "a.nii") == "not_a_file"


def test_folder_device_socket_and_nothing(tmp_path: Path) -> None:
    assert code_of(tmp_path) == "not_a_file"
    assert code_of(Path("/dev/zero")) == "not_a_file"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.nii"))
        assert code_of(tmp_path / "s.nii") == "not_a_file"
    assert code_of(tmp_path / "absent.nii") == "not_found"
    assert code_of(tmp_path / "absent" / "a.nii") == "not_found"
    assert code_of(tmp_path / "a\0b.nii") == "not_found"
    (tmp_path / "loop.nii").symlink_to(tmp_path / "loop.nii")
    assert code_of(tmp_path / "loop.nii") == "not_readable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(hostile.nifti())
    (tmp_path / "a.nii").chmod(0)
    assert code_of(tmp_path / "a.nii") == "not_readable"


@pytest.mark.parametrize("change", ["grow", "shrink", "touch"])
def test_change_during_reading(change: str, tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(hostile.nifti())
    with files.RegularFile(path) as file:
        if change == "grow":
            path.write_bytes(hostile.nifti() + b"x")
        elif change == "shrink":
            os.truncate(path, 100)
        else:
            os.utime(path, ns=(1, 1))
        with pytest.raises(ReadError) as caught:
            file.read()
    assert caught.value.code == "changed_during_read"


def test_size_caps(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(hostile.nifti())
    with pytest.raises(ReadError, match="too_large"):
        read(path, max_decoded_bytes=561)
    assert read(path, max_decoded_bytes=562).array.size == 210


def test_hash_is_of_the_files_bytes(tmp_path: Path) -> None:
    for name, data in (("a.nii", hostile.nifti()), ("a.nii.gz", hostile.packed(hostile.nifti()))):
        (tmp_path / name).write_bytes(data)
        assert read(tmp_path / name).sha256 == hashlib.sha256(data).hexdigest()
        assert files.sha256_of(tmp_path / name) == hashlib.sha256(data).hexdigest()


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(b"short")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        code_of(tmp_path / "a.nii")
        code_of(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_memory_is_the_file_and_one_volume(name: str, tmp_path: Path) -> None:
    shape = (64, 128, 128)
    image = np.random.default_rng(0).integers(1, 255, shape, dtype=np.uint8)
    raw = hostile.nifti(dim=hostile.dims(3, 128, 128, 64), data=image.tobytes())
    data = hostile.packed(raw, 1) if name.endswith("gz") else raw
    (tmp_path / name).write_bytes(data)
    del raw
    tracemalloc.start()
    found = read(tmp_path / name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(found.array, image)
    expected = image.nbytes + (len(data) if name.endswith("gz") else 0)
    assert peak < 1.1 * expected + (1 << 20)


def test_import_loads_no_format_library() -> None:
    heavy = "('nibabel', 'pydicom', 'pyarrow', 'scipy', 'torch', 'deflate')"
    script = f"import sys, layer_fast.io; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
