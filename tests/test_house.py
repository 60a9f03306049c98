"""The house checks itself: who imports whom, what every op must have, sizes, forbidden calls, one version."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import layer_fast as lf

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "layer_fast"
PYTHON = sorted(PACKAGE.rglob("*.py"))
NATIVE = sorted(p for p in (ROOT / "cpp").rglob("*") if p.suffix in (".cpp", ".hpp", ".cu", ".cuh"))
OPS = (
    "resample", "resample_labels", "argmax_resample", "intensity_stats", "normalize",
    "layer_reduce", "layer_weights", "layer_compose",
)  # fmt: skip
ORACLES = {"layer_reduce": "layer_row", "resample_labels": "resample_labels_nearest"}  # else the op's own name
MAX_LINES, MAX_FUNCTION_LINES = 300, 40
FORBIDDEN_NAMES = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_MODULES = {"pickle", "dill", "joblib", "marshal", "shelve", "socket", "urllib", "http", "requests"}


def test_imports_go_downwards() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"],
        cwd=ROOT, capture_output=True, text=True,
        env={"PYTHONPATH": str(ROOT / "python"), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "KEPT" in done.stdout, "import-linter checked nothing"


def test_only_ops_imports_the_native_module() -> None:
    native = re.compile(r"^\s*(from|import)\b.*\b_core\b", flags=re.M)
    importers = [p for p in PYTHON if native.search(p.read_text())]
    assert [p.relative_to(PACKAGE).as_posix() for p in importers] == ["ops/_native.py"]


def test_import_is_light() -> None:
    code = (
        "import json, sys, time; t = time.process_time(); import layer_fast; s = time.process_time() - t;"
        "heavy = ['torch', 'tensorrt', 'cupy', 'scipy', 'pyarrow', 'matplotlib', 'nibabel', 'onnxruntime', 'onnx'];"
        "print(json.dumps([s, [m for m in heavy if m in sys.modules]]))"
    )
    seconds = []
    for _ in range(3):
        spent, heavy = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))
        assert heavy == []
        seconds.append(spent)
    assert min(seconds) < 0.3


def test_every_public_name_resolves() -> None:
    for name in lf.__all__:
        assert getattr(lf, name) is not None


@pytest.mark.parametrize("op", OPS)
def test_every_op_is_complete(op: str) -> None:
    wanted = [
        f"cpp/include/layer_fast/{op}.hpp", f"cpp/ops/{op}.cpp", f"cpp/ops/{op}_impl.hpp", f"cpp/ops/{op}_cpu.cpp",
        f"cpp/bindings/bind_{op}.cpp", f"tests/ops/test_{op}.py",
    ]  # fmt: skip
    missing = [name for name in wanted if not (ROOT / name).is_file()]
    oracles = "".join(p.read_text() for p in (ROOT / "tests").glob("oracle*.py"))
    if f"def {ORACLES.get(op, op)}(" not in oracles:
        missing.append(f"oracle {op}")
    stub = "".join(p.read_text() for p in (ROOT / "cpp/ops").glob("no_cuda*.cpp"))
    if f"{op}_cuda" not in stub and not (ROOT / f"cpp/ops/{op}_cuda.cu").is_file():
        missing.append(f"{op}_cuda")
    if op not in "".join(p.read_text() for p in (ROOT / "benchmarks" / "cases").glob("*.py")):
        missing.append(f"benchmark {op}")
    assert missing == []


def test_pybind_and_cuda_stay_in_their_rooms() -> None:
    for path in NATIVE:
        text = path.read_text()
        room = path.parent.name
        assert "pybind11" not in text or room == "bindings", path
        assert "cuda_runtime" not in text or path.suffix == ".cu" or "cuda" in path.name, path
        if room in ("ops", "layer_fast"):
            guards = re.findall(r"^\s*#\s*if.*$", text, flags=re.M)
            assert all("__CUDACC__" in g for g in guards), f"{path}: {guards}"


@pytest.mark.parametrize("path", PYTHON + NATIVE, ids=lambda p: p.name)
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_functions_stay_small() -> None:
    long = []
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                lines = (node.end_lineno or 0) - first.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long.append(f"{path.name}:{node.name} {lines}")
    assert long == []


def forbidden(source: str) -> list[str]:
    """Calls and imports that could run what a file says, or reach a network."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            tensors_only = any(w.arg == "weights_only" and ast.unparse(w.value) == "True" for w in node.keywords)
            if name in FORBIDDEN_NAMES or name in ("yaml.load", "os.system") or (
                name == "torch.load" and not tensors_only
            ):
                found.append(name)
            for word in node.keywords:
                if (word.arg in ("allow_pickle", "shell")) and ast.unparse(word.value) == "True":
                    found.append(f"{name}({word.arg}=True)")
        elif isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            found.append(str(node.module))
    return found


def test_nothing_evaluates_or_unpickles_or_calls_home() -> None:
    assert {p.name: f for p in PYTHON if (f := forbidden(p.read_text()))} == {}
    planted = "import pickle\nimport numpy\nnumpy.load('x', allow_pickle=True)\neval('1')\nimport yaml\nyaml.load('x')"
    planted += "\ntorch.load('x')\ntorch.load('x', weights_only=True)"
    assert len(forbidden(planted)) == 5, "the scan does not see planted faults"


def test_version_is_written_once() -> None:
    from layer_fast import ops

    assert ops.build_info()["version"] == lf.__version__
    written = [p for p in PYTHON if re.search(rf"['\"]{re.escape(lf.__version__)}['\"]", p.read_text())]
    assert [p.name for p in written] == ["_version.py"]
    assert lf.__version__ not in (ROOT / "pyproject.toml").read_text()
    assert f"## {lf.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_no_path_of_a_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    pattern = re.compile(r"(?<![\w.])/(?:home|root|work)/\w")
    bad = [f for f in tracked if f.endswith((".py", ".md", ".toml", ".txt", ".cpp", ".hpp", ".cu"))
           and pattern.search((ROOT / f).read_text(errors="replace"))]  # fmt: skip
    assert [f for f in bad if f != "tests/test_house.py"] == []


def test_research_use_is_said_everywhere() -> None:
    for name in ("README.md", "python/layer_fast/cli/app.py", "python/layer_fast/quantify/summary.py"):
        text = (ROOT / name).read_text()
        assert "Not a medical device" in text and "Research use only" in text, name


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_rivals_that_pip_could_not_install_are_tried_again(tmp_path: Path) -> None:
    """PIP=false is a pip that fails."""
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name and name != "MFLAGS"}

    def rivals(pip: str) -> str:
        command = ["make", "-o", f"{tmp_path}/test", "rivals", f"STAMP={tmp_path}", f"PIP={pip}"]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout

    said = rivals("false")
    assert said.count("could not install") == 2 and not (tmp_path / "rivals").exists()
    assert rivals("echo tried").count("tried") == 2 and (tmp_path / "rivals").exists()
    assert rivals("echo tried") == ""
