"""The emulation of CUDA finds planted faults, so that its silence about the twins means something; and what the twins
launch by, over it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CPP = Path(__file__).resolve().parents[2] / "cpp"
EMULATION = CPP / "tests" / "cuda_emulation"


def compiled(folder: Path, *sources: str) -> Path:
    """A program of these sources of cpp/ and the emulation."""
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    built = folder / "program"
    folders = [f"-I{folder}" for folder in (EMULATION, CPP, CPP / "include")]
    named = [str(CPP / source) for source in (*sources, "tests/cuda_emulation/cuda_threads.cpp")]
    command = [compiler, "-std=c++20", "-O1", *folders, "-o", str(built), "-x", "c++", *named]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return built


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("emulation"), "tests/test_cuda_emulation.cpp")


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = ("tests/test_cuda_queue.cpp", "runtime/cuda/cuda_queue.cu", "runtime/array.cpp")
    return compiled(tmp_path_factory.mktemp("queue"), *sources)


def run(program: Path, fault: str, order: str = "forward") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "LAYER_FAST_EMULATED_ORDER": order}
    return subprocess.run([str(program), fault], capture_output=True, text=True, env=env, timeout=60)


@pytest.mark.parametrize("order", ["forward", "reversed", "shuffled"])
def test_a_sound_kernel_gives_its_sum_in_any_order(program: Path, order: str) -> None:
    done = run(program, "sound", order)
    assert (done.returncode, done.stdout) == (0, f"{sum(range(64))}\n")


@pytest.mark.parametrize("fault", ["left", "stranger", "too_many", "too_much"])
def test_launches_that_cannot_end_or_begin_are_errors(program: Path, fault: str) -> None:
    done = run(program, fault)
    assert done.returncode == 1
    assert ("wait for others" in done.stderr) == (fault in ("left", "stranger"))


def test_a_race_shows_in_another_order(program: Path) -> None:
    assert run(program, "race").stdout != run(program, "race", "reversed").stdout


def test_a_write_past_scratch_memory_ends_the_process(program: Path) -> None:
    done = run(program, "past_the_end")
    assert done.returncode < 0
    assert "wrote outside of its scratch memory of 4 bytes" in done.stderr


@pytest.mark.parametrize("case", ["shared", "stale", "impossible"])
def test_launches_by_the_queue(queue: Path, case: str) -> None:
    assert run(queue, case).returncode == 0
