"""The hash of a compressed file on a thread beside inflating: the same hash, the same voxels, the same errors."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import hostile
import numpy as np
import pytest

from layer_fast.errors import ReadError
from layer_fast.io import files, nifti, read

SHAPE = (40, 200, 256)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More than a MiB compressed."""
    image = np.random.default_rng(0).integers(1, 255, SHAPE, dtype=np.uint8)
    raw = hostile.nifti(dim=hostile.dims(3, *SHAPE[::-1]), data=image.tobytes())
    path = tmp_path_factory.mktemp("large") / "a.nii.gz"
    path.write_bytes(hostile.packed(raw, 1))
    assert path.stat().st_size > nifti._WORTH_A_THREAD
    return path


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the threads that reading starts."""
    names: list[str] = []
    real = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda self: names.append(self.name) or real(self))
    return names


def test_one_thread_and_two_give_the_same(path: Path, started: list[str]) -> None:
    one = read(path, threads=1)
    assert started == []
    two = read(path, threads=2)
    assert started == ["hash"]
    assert one.sha256 == two.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert np.array_equal(one.array, two.array)


def test_the_threads_of_the_process_are_asked_for(
    path: Path, started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAYER_FAST_THREADS", "1")
    read(path)
    assert started == []
    monkeypatch.setenv("LAYER_FAST_THREADS", "2")
    read(path)
    assert started == ["hash"]


def test_where_no_thread_can_be_had_it_goes_one_after_the_other(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert read(path, threads=2).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("change", ["flip", "cut", "second member"])
def test_damage_is_told_alike_and_no_thread_is_left(path: Path, tmp_path: Path, change: str) -> None:
    data = bytearray(path.read_bytes())
    if change == "flip":
        data[len(data) // 2] ^= 1
    bad = tmp_path / "a.nii.gz"
    bad.write_bytes(data[:-5] if change == "cut" else data + hostile.packed(b"x") if change[0] == "s" else data)
    codes = []
    for threads in (1, 2):
        with pytest.raises(ReadError) as caught:
            read(bad, threads=threads)
        codes.append(caught.value.code)
    assert codes[0] == codes[1]
    assert "hash" not in {thread.name for thread in threading.enumerate()}


def test_a_plain_file_is_hashed_while_it_is_read(tmp_path: Path, started: list[str]) -> None:
    raw = hostile.nifti(dim=hostile.dims(3, *SHAPE[::-1]), data=np.arange(np.prod(SHAPE)).astype(np.uint8).tobytes())
    (tmp_path / "a.nii").write_bytes(raw)
    assert read(tmp_path / "a.nii", threads=4).sha256 == hashlib.sha256(raw).hexdigest()
    assert started == []
    with files.RegularFile(tmp_path / "a.nii") as file:
        assert bytes(file.read()) == raw
