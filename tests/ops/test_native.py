"""The native tests of cpp/tests, compiled with what they stand on alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CPP = Path(__file__).resolve().parents[2] / "cpp"
RUNTIME = ("parallel", "placement", "threads")


def test_parallel(tmp_path: Path) -> None:
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    program = tmp_path / "test_parallel"
    sources = [CPP / "tests" / "test_parallel.cpp", *(CPP / "runtime" / f"{name}.cpp" for name in RUNTIME)]
    flags = ["-std=c++20", "-O1", "-pthread", "-Wall", "-Wextra", "-Werror", f"-I{CPP}", f"-I{CPP / 'include'}"]
    subprocess.run([compiler, *flags, *map(str, sources), "-o", str(program)], check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
