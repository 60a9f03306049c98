"""The emulation of CUDA finds planted faults, so that its silence about the twins means something."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    built = tmp_path_factory.mktemp("emulation") / "faults"
    tests = ROOT / "cpp" / "tests"
    sources = [str(tests / "test_cuda_emulation.cpp"), str(tests / "cuda_emulation" / "cuda_threads.cpp")]
    command = [compiler, "-std=c++20", "-O1", "-I", str(tests / "cuda_emulation"), "-o", str(built), *sources]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return built


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
