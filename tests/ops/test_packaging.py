"""A native module built in the checkout goes into no source distribution and into no wheel of another build."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STRAY = "python/layer_fast/_core.cpython-39-x86_64-linux-gnu.so"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout with the project's own pyproject.toml and .gitignore, and a module built earlier."""
    pytest.importorskip("scikit_build_core")
    root = tmp_path / "checkout"
    for name in ("pyproject.toml", ".gitignore", "README.md", "LICENSE", "CMakeLists.txt"):
        target = root / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    texts = ("cpp/CMakeLists.txt", "cpp/ops/a.cpp", "cpp/ops/a.hpp", "tests/test_a.py", "python/layer_fast/__init__.py",
             "python/layer_fast/_core.pyi", "python/layer_fast/py.typed", "python/layer_fast/report/report.html.j2",
             "python/layer_fast/models/reference/segmenter/model.onnx", STRAY, "build/dev/b.o")  # fmt: skip
    for text in texts:
        (root / text).parent.mkdir(parents=True, exist_ok=True)
        (root / text).write_text("")
    (root / "python/layer_fast/_version.py").write_text('__version__ = "1.2.3"\n')
    return root


def built(root: Path, call: str) -> Path:
    code = f"import scikit_build_core.build as build; print(build.{call})"
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return root / "dist" / run.stdout.split()[-1]


@pytest.mark.parametrize("ignore_file", [True, False])
def test_the_sdist_holds_the_sources_and_no_build(checkout: Path, ignore_file: bool) -> None:
    if not ignore_file:
        (checkout / ".gitignore").unlink()
    with tarfile.open(built(checkout, "build_sdist('dist')")) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers()}
    wanted = {p.relative_to(checkout).as_posix() for p in checkout.rglob("*") if p.is_file()}
    wanted = {name for name in wanted if not name.startswith(("build/", "dist/"))} - {STRAY}
    assert names - {"PKG-INFO"} == wanted


@pytest.mark.parametrize("ignore_file", [True, False])
def test_a_wheel_takes_no_module_from_the_checkout(checkout: Path, ignore_file: bool) -> None:
    if not ignore_file:
        (checkout / ".gitignore").unlink()
    wheel = built(checkout, "build_wheel('dist', {'wheel.cmake': 'false'})")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"layer_fast/_core.pyi", "layer_fast/py.typed", "layer_fast/report/report.html.j2"} <= names
    assert "layer_fast/models/reference/segmenter/model.onnx" in names
    assert not [name for name in names if name.endswith(".so")]
