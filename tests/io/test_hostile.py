"""Every lie is refused under its own code, at once and without memory for the voxels."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import hostile
import pytest

from layer_fast.errors import ReadError
from layer_fast.io import read


@pytest.fixture(scope="module", autouse=True)
def _imports_done(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("first") / "a.nii"
    path.write_bytes(hostile.nifti())
    read(path)  # nibabel's import is neither time nor memory of a refusal


@pytest.mark.parametrize("fault", hostile.FAULTS, ids=lambda f: f.name + f.suffix)
def test_lie_is_refused_with_its_code(fault: hostile.Fault, tmp_path: Path) -> None:
    path = tmp_path / f"scan{fault.suffix}"
    path.write_bytes(fault.make())
    tracemalloc.start()
    begin = time.perf_counter()
    try:
        with pytest.raises(ReadError) as caught:
            read(path)
        seconds = time.perf_counter() - begin
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.code == fault.code, str(caught.value)
    assert path.name in str(caught.value)
    assert peak < 8 << 20
    assert seconds < 1.0  # 50 ms is the aim on a quiet machine


def test_names_are_unique_and_faults_many() -> None:
    names = [f.name + f.suffix for f in hostile.FAULTS]
    assert len(set(names)) == len(names) >= 100


def test_corpus_is_written(tmp_path: Path) -> None:
    hostile.write_all(tmp_path)
    assert len(list(tmp_path.iterdir())) == len(hostile.FAULTS)
