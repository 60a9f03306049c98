"""The committed stub of the native module is what a fresh build says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import layer_fast


def test_stub_is_fresh(tmp_path: Path) -> None:
    pytest.importorskip("pybind11_stubgen")
    command = [sys.executable, "-m", "pybind11_stubgen", "layer_fast._core", "-o", str(tmp_path), "--exit-code"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    fresh = (tmp_path / "layer_fast" / "_core.pyi").read_text()
    committed = (Path(layer_fast.__file__).parent / "_core.pyi").read_text()
    assert fresh == committed, "run: python -m pybind11_stubgen layer_fast._core -o python"
